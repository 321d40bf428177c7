"""Asks a tokenkeeper all that its OpenAPI document allows and forbids, by schemathesis.

    ask.py SOCKET OPTION…

takes the options of `st run`. HTTP goes over the Unix socket: whatever host is connected to, it is that.
"""

import socket
import sys
from pathlib import Path

from schemathesis.cli import schemathesis
from urllib3.connection import HTTPConnection

SOCKET, *OPTIONS = sys.argv[1:]


def connect(connection):
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(60)
    stream.connect(SOCKET)
    return stream


HTTPConnection._new_conn = connect
CONFIG = Path(__file__).with_name("schemathesis.toml")
schemathesis(["--config-file", str(CONFIG), "run", *OPTIONS, "http://localhost/v1/openapi.json"])
