"""A TCP forwarder from a port of this machine into the cluster's network namespace."""

import socket
import threading
from contextlib import closing, suppress

_CHUNK_BYTES = 256 * 1024


def forward(listener: socket.socket, host: str, port: int) -> None:
    """Accept for ever; each connection is joined to one that is made from the calling thread's network namespace."""
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_join, args=(client, host, port), daemon=True).start()


def _join(client: socket.socket, host: str, port: int) -> None:
    with closing(client), suppress(OSError), socket.create_connection((host, port)) as server:
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = threading.Thread(target=_pump, args=(server, client), daemon=True)
        answers.start()
        _pump(client, server)
        answers.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the source says that no more comes, then say so to the sink; a broken end breaks both."""
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    try:
        while count := source.recv_into(buffer):
            sink.sendall(buffer[:count])
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
