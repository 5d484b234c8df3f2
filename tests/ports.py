"""Ports for servers that live as long as a test."""

import secrets
import socket

PORTS = range(15_000, 30_000)


def free_port() -> int:
    """One that nobody listens at. It lies below those that outgoing connections are given, so that
    none of the thousands that tests make takes it before its server does."""
    while True:
        port = PORTS.start + secrets.randbelow(len(PORTS))  # not `random`: Hypothesis seeds that
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
