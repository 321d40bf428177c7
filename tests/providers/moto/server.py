"""Amazon Cognito as others imitate it, as a test server: moto.

Pools, app clients, users, tokens and every exception are moto's doing. This file only gives it an
address of its own.

    python server.py

prints `listening on http://127.0.0.1:PORT` once it answers. It listens on loopback only, keeps
everything in memory and ends on SIGTERM.
"""

import signal

from moto.moto_server.threaded_moto_server import ThreadedMotoServer


def main():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"listening on http://{host}:{port}", flush=True)
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main()
