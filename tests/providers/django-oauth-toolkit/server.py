"""A provider with a grace that this project did not write, as a test server: django-oauth-toolkit.

Refresh tokens rotate at every use. A spent one still works for the grace, and then yields the very
pair that its first use yielded; presented later it ends the whole family. All of that is the
library's doing. This file configures it, hands out first refresh tokens without a browser, and
counts what comes and goes at the token endpoint.

    python server.py [--accounts 10] [--lifetime 20] [--grace 10]

prints `listening on http://127.0.0.1:PORT` once it answers, and serves, beside the library's own
endpoints (discovery, /token/, /userinfo/, /revoke_token/):

    POST /mint/account-N   a new family: client, first refresh token, endpoints
    GET  /events           counts by account

The counts: `minted` families; `refreshed` requests; `replayed` requests, granted although the token
was spent; `refused` requests, of which `reused` for a token known as spent; `revoked` families.
Requests with no known token count under `unknown`.

It listens on loopback only, keeps its database in memory and ends on SIGTERM.
"""

import argparse
import hashlib
import logging
import signal
import sys
import threading
import uuid
from collections import Counter
from datetime import timedelta
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import include, path
from django.utils import timezone
from jwcrypto.jwk import JWK
from oauthlib.common import generate_token

SCOPE = "openid"
COUNTS = ["minted", "refreshed", "replayed", "refused", "reused", "revoked"]


class Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection, so that an idle one holds up nobody."""

    daemon_threads = True
    request_queue_size = 128


class QuietHandler(WSGIRequestHandler):
    """Logs no request: the tests ask /events."""

    def log_message(self, *_args):
        pass


class Tally:
    """What happened to each account at the token endpoint."""

    def __init__(self, accounts):
        self.counts = {account: Counter(dict.fromkeys(COUNTS, 0)) for account in [*accounts, "unknown"]}

    def counting(self, token_view):
        """Wraps the library's token endpoint; what it answers passes unchanged."""

        def observe(request):
            presented = row_of(request.POST.get("refresh_token", ""))
            lived = presented is not None and family_lives(presented)
            spent = presented is not None and presented.revoked is not None
            response = token_view(request)
            counts = self.counts[presented.user.username if presented else "unknown"]
            if response.status_code == 200:
                counts["replayed" if spent else "refreshed"] += 1
            else:
                counts["refused"] += 1
                counts["reused"] += spent
                counts["revoked"] += lived and not family_lives(presented)
            return response

        # The library's own view is exempt in the same way: a token request has no cookie to abuse.
        observe.csrf_exempt = True
        return observe


def one_at_a_time(application):
    """Lets one request in at a time, so that a decision and its count are one step, and so that no
    two threads meet in the shared in-memory database, which does not wait for its own locks."""
    lock = threading.Lock()

    def enter(environ, start_response):
        with lock:
            return application(environ, start_response)

    return enter


def main():
    arguments = command_line()
    accounts = [f"account-{number}" for number in range(1, arguments.accounts + 1)]
    tally = Tally(accounts)
    with Server(("127.0.0.1", 0), QuietHandler) as server:
        issuer = f"http://127.0.0.1:{server.server_port}"
        configure(issuer, arguments)
        call_command("migrate", run_syncdb=True, verbosity=0)
        clients = {account: register(account) for account in accounts}
        urlpatterns.extend(routes(issuer, clients, tally))
        server.set_app(one_at_a_time(get_wsgi_application()))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        print(f"listening on {issuer}", flush=True)
        server.serve_forever()


def command_line():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, choices=range(1, 1001), default=10, metavar="N")
    parser.add_argument("--lifetime", type=int, choices=range(1, 86401), default=20, metavar="SECONDS")
    parser.add_argument("--grace", type=int, choices=range(0, 3601), default=10, metavar="SECONDS")
    return parser.parse_args()


def configure(issuer, arguments):
    apps = ["django.contrib.contenttypes", "django.contrib.auth", "oauth2_provider"]
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        # One database that all threads share; it lives as long as the main thread's connection.
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": "file:provider?mode=memory&cache=shared",
            }
        },
        INSTALLED_APPS=apps,
        LOGGING_CONFIG=None,
        MIDDLEWARE=[],
        # The tables are made at once, not by replaying the history of their schema.
        MIGRATION_MODULES={app.rpartition(".")[2]: None for app in apps},
        OAUTH2_PROVIDER={
            "ACCESS_TOKEN_EXPIRE_SECONDS": arguments.lifetime,
            "ID_TOKEN_EXPIRE_SECONDS": arguments.lifetime,
            "OIDC_ENABLED": True,
            "OIDC_ISS_ENDPOINT": issuer,
            "OIDC_RSA_PRIVATE_KEY": JWK.generate(kty="RSA", size=2048).export_to_pem(True, None).decode(),
            "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": arguments.grace,
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
            "ROTATE_REFRESH_TOKEN": True,
            "SCOPES": {SCOPE: "who the account is"},
        },
        ROOT_URLCONF=__name__,
        SECRET_KEY=generate_token(50),
        USE_TZ=True,
    )
    # A refused request is no event for a console; an exception is, and is logged above this level.
    logging.getLogger("django.request").setLevel(logging.ERROR)
    django.setup()


# Django finds it by name in this module; `main` fills it.
urlpatterns = []


def register(account):
    """One client for each account; returns what a client must know to use it."""
    from django.contrib.auth.models import User
    from oauth2_provider.models import Application

    secret = generate_token(40)
    Application.objects.create(
        algorithm=Application.RS256_ALGORITHM,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        client_id=f"client-of-{account}",
        client_secret=secret,
        client_type=Application.CLIENT_CONFIDENTIAL,
        # The library's password hash would cost each request a tenth of a second.
        hash_client_secret=False,
        name=account,
        redirect_uris="http://127.0.0.1/callback",
        user=User.objects.create(username=account),
    )
    return {"client_id": f"client-of-{account}", "client_secret": secret}


def routes(issuer, clients, tally):
    from oauth2_provider import urls
    from oauth2_provider.views import TokenView

    def mint(request, account):
        if request.method != "POST" or account not in clients:
            return JsonResponse({"error": "not_found"}, status=404)
        tally.counts[account]["minted"] += 1
        answer = {
            "account": account,
            "issuer": issuer,
            "token_endpoint": f"{issuer}/token/",
            "try_endpoint": f"{issuer}/userinfo/",
            **clients[account],
            "refresh_token": first_refresh_token(account),
        }
        return JsonResponse(answer, status=201)

    def events(_request):
        return JsonResponse(tally.counts)

    library = urls.metadata_urlpatterns + urls.base_urlpatterns + urls.oidc_urlpatterns
    return [
        path("mint/<slug:account>", mint),
        path("events", events),
        path("token/", tally.counting(TokenView.as_view())),
        path("", include((library, urls.app_name))),
    ]


def first_refresh_token(account):
    """What a person's consent in a browser would have led to: a family of one pair."""
    from oauth2_provider.models import AccessToken, Application, RefreshToken

    application = Application.objects.get(name=account)
    access = AccessToken.objects.create(
        application=application,
        expires=timezone.now() + timedelta(seconds=settings.OAUTH2_PROVIDER["ACCESS_TOKEN_EXPIRE_SECONDS"]),
        scope=SCOPE,
        token=generate_token(),
        user=application.user,
    )
    refresh = RefreshToken.objects.create(
        access_token=access,
        application=application,
        token=generate_token(),
        token_family=uuid.uuid4(),
        user=application.user,
    )
    return refresh.token


def row_of(refresh_token):
    from oauth2_provider.models import RefreshToken

    checksum = hashlib.sha256(refresh_token.encode()).hexdigest()
    return RefreshToken.objects.select_related("user").filter(token_checksum=checksum).first()


def family_lives(row):
    from oauth2_provider.models import RefreshToken

    return RefreshToken.objects.filter(token_family=row.token_family, revoked__isnull=True).exists()


if __name__ == "__main__":
    main()
