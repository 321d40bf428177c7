"""A program of nwp500-python's: it lives by a file of tokens, as its guide shows.

    library.py load FILE BASE_URL     begins a session with the tokens of FILE, and says in JSON
                                      whether they count as expired and what the session has
    library.py dump FILE BASE_URL     logs in with a password (standard input) and leaves the
                                      session's tokens in FILE

The library asks BASE_URL, and nobody else, for whatever it thinks that it needs.
"""

import asyncio
import json
import sys

from nwp500 import NavienAuthClient
from nwp500.auth import AuthTokens

EMAIL = "pat@example.test"


async def load(file, base_url):
    with open(file, encoding="utf-8") as content:
        tokens = AuthTokens.model_validate(json.load(content))
    said = {
        "expired": tokens.is_expired,
        "aws_expired": tokens.are_aws_credentials_expired,
        "seconds_left": int(tokens.time_until_expiry.total_seconds()),
    }
    session = NavienAuthClient(EMAIL, "not-needed", base_url=base_url, stored_tokens=tokens)
    async with session:
        said["access_token"] = session.current_tokens.access_token
    print(json.dumps(said))


async def dump(file, base_url):
    password = sys.stdin.readline().rstrip("\n")
    async with NavienAuthClient(EMAIL, password, base_url=base_url) as session:
        with open(file, "w", encoding="utf-8") as content:
            json.dump(session.current_tokens.model_dump(mode="json"), content)


if __name__ == "__main__":
    asyncio.run({"load": load, "dump": dump}[sys.argv[1]](*sys.argv[2:]))
