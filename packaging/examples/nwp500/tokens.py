"""Tokens for the nwp500 library out of tokenkeeper's socket.

The refresh token is not among them, so that the library cannot spend it. Needs the library
(release 7.4.9 or later), Python 3.10 or later, and the right "read" on the account.
"""

import http.client
import json
import os
import socket
from datetime import datetime

SYSTEM_SOCKET = "/run/tokenkeeper/api.sock"
TIMEOUT_SECS = 70


def navien_tokens(account, socket_path=None):
    """The account's tokens as the library's `AuthTokens`."""
    from nwp500.auth import AuthTokens

    return AuthTokens.model_validate(fields(account, socket_path))


def fields(account, socket_path=None):
    """The nine fields of a dump of the library."""
    path = socket_path or _socket()
    status, token = _get(path, f"/v1/accounts/{account}/token?kind=access&wait=60")
    if status != 200:
        raise RuntimeError(token["message"])
    status, aws = _get(path, f"/v1/accounts/{account}/token?kind=aws&wait=0")
    issued_at, expires_at = _time(token["issued_at"]), _time(token["expires_at"])
    dump = {
        "id_token": "",
        "access_token": token["token"],
        "refresh_token": "",
        "authentication_expires_in": int((expires_at - issued_at).total_seconds()),
        "access_key_id": None,
        "secret_key": None,
        "session_token": None,
        "authorization_expires_in": None,
        "issued_at": token["issued_at"],
    }
    if status == 200:
        left = int((_time(aws["Expiration"]) - issued_at).total_seconds())
        dump.update(
            access_key_id=aws["AccessKeyId"],
            secret_key=aws["SecretAccessKey"],
            session_token=aws["SessionToken"],
            # The library takes 0 for "not known".
            authorization_expires_in=left or -1,
        )
    return dump


def _socket():
    """The daemon's socket, looked for as tokenctl does."""
    named = os.environ.get("TOKENKEEPER_SOCKET")
    if named:
        return named
    of_user = os.path.join(os.environ.get("XDG_RUNTIME_DIR", "/"), "tokenkeeper/api.sock")
    return of_user if os.path.exists(of_user) else SYSTEM_SOCKET


def _time(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _get(path, target):
    connection = http.client.HTTPConnection("localhost", timeout=TIMEOUT_SECS)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(TIMEOUT_SECS)
    connection.sock.connect(path)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()
