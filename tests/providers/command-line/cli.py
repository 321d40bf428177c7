"""A command-line program as there are many: it keeps its login in a JSON file, and every copy of
it refreshes by itself, at the expiry and when the API refuses the token.

    cli.py FILE

It works ten times a second until its standard input ends, prints a line when it loses its login,
and in the end what it counted. In FILE are
`token_endpoint`, `try_endpoint`, `client_id`, `client_secret` and the members of `tokens`:
`refresh_token`, `access_token` and `expires` in seconds since 1970.

Like its models it does its best without a lock: before it uses a token it reads the file, and
after a refused refresh it reads the file again, since another copy may have been faster. Without
a refresh token in the file it can only read it again.
"""

import base64
import json
import os
import select
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

PACE_SECS = 0.1
BUFFER_SECS = 1


def main(path):
    count = {"calls": 0, "refused": 0, "refreshes": 0, "lost": 0, "without": 0}
    while not select.select([sys.stdin], [], [], PACE_SECS)[0]:
        login = read(path)
        if login["tokens"]["expires"] - time.time() < BUFFER_SECS:
            login = refreshed(path, login, count)
            if login is None:
                continue
        count["calls"] += 1
        if call(login) == 401:
            count["refused"] += 1
            refreshed(path, login, count)
    print(json.dumps(count))


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def refreshed(path, login, count):
    """The login with a new token; None if there is none."""
    spent = login["tokens"]["refresh_token"]
    if not spent:
        login = read(path)
        if login["tokens"]["expires"] > time.time():
            return login
        count["without"] += 1
        return None
    count["refreshes"] += 1
    status, answer = exchange(login, spent)
    if status != 200:
        newest = read(path)
        if newest["tokens"]["refresh_token"] != spent:
            return newest
        count["lost"] += 1
        if count["lost"] == 1:
            print("lost", flush=True)
        return None
    login["tokens"] = {
        "refresh_token": answer["refresh_token"],
        "access_token": answer["access_token"],
        "expires": int(time.time()) + answer["expires_in"],
    }
    beside = f"{path}.{os.getpid()}"
    with open(beside, "w", encoding="utf-8") as file:
        json.dump(login, file)
    os.replace(beside, path)
    return login


def exchange(login, refresh_token):
    pair = f"{login['client_id']}:{login['client_secret']}".encode()
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    request = urllib.request.Request(
        login["token_endpoint"],
        data=urllib.parse.urlencode(form).encode(),
        headers={"Authorization": "Basic " + base64.b64encode(pair).decode()},
    )
    return sent(request)


def call(login):
    token = login["tokens"]["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    return sent(urllib.request.Request(login["try_endpoint"], headers=headers))[0]


def sent(request):
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, {}


main(sys.argv[1])
