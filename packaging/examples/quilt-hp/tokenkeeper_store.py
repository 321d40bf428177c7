"""A token store for the quilt-hp library that asks tokenkeeper instead of a file.

The library never gets the refresh token, so it cannot spend it: tokenkeeper refreshes, and
the library is given a token that is good for ten minutes more than it asks for. There is
nothing to save; a login of the library's own would be a second owner, so it is refused.

    client = QuiltClient(email, token_store=TokenkeeperStore("heatpump"))

A program that runs for days makes its client anew, or loads again, before the token expires.
Python 3.9 or later, and nothing else. The caller needs the right "read" on the account.
"""

import http.client
import json
import os
import socket
from datetime import datetime

SYSTEM_SOCKET = "/run/tokenkeeper/api.sock"

# The library refreshes so long before the expiry, and would take any other token for spent.
BUFFER_SECS = 5 * 60

# What it is given: ten minutes beyond that.
MIN_TTL_SECS = BUFFER_SECS + 10 * 60

TIMEOUT_SECS = 70


class TokenkeeperError(Exception):
    """What the daemon refuses: its code, and its words."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class TokenkeeperStore:
    """One account's token store: the two methods of the library's synchronous protocol, which
    it runs on a thread of its own."""

    def __init__(self, account, socket_path=None):
        self._account = account
        self._socket_path = socket_path or _socket()

    def load(self, email):
        """The current token; `email` is what the library knows the account by."""
        from quilt_hp.tokens import CachedTokens

        return CachedTokens(**self.fields())

    def save(self, email, tokens):
        """Refuses tokens that the library got by itself: they would have a second owner."""
        message = f"log in with: tokenctl login {self._account}"
        raise TokenkeeperError("FOREIGN_WRITER", message)

    def fields(self):
        """The library's three fields, the refresh token empty."""
        answer = self._token()
        expires_at = datetime.fromisoformat(answer["expires_at"].replace("Z", "+00:00"))
        return {
            "id_token": answer["token"],
            "refresh_token": "",
            "expires_at": expires_at.timestamp(),
        }

    def _token(self):
        try:
            return self._token_for(MIN_TTL_SECS)
        except TokenkeeperError as error:
            if error.code != "LIFETIME_TOO_SHORT":
                raise
            # As good as new is the best that there is, if the library can use that.
            min_ttl = self._get(f"/v1/accounts/{self._account}")["lifetime"] - BUFFER_SECS
            if min_ttl <= BUFFER_SECS:
                raise
        return self._token_for(min_ttl)

    def _token_for(self, min_ttl):
        query = f"kind=id&min_ttl={min_ttl}&wait=60"
        return self._get(f"/v1/accounts/{self._account}/token?{query}")

    def _get(self, target):
        connection = _UnixConnection(self._socket_path, TIMEOUT_SECS)
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            body = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise TokenkeeperError(body["error_code"], body["message"])
        return body


def _socket():
    """The daemon's socket, looked for as tokenctl does."""
    named = os.environ.get("TOKENKEEPER_SOCKET")
    if named:
        return named
    of_user = os.path.join(os.environ.get("XDG_RUNTIME_DIR", "/"), "tokenkeeper/api.sock")
    return of_user if os.path.exists(of_user) else SYSTEM_SOCKET


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
