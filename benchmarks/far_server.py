"""A PostgreSQL server that is far away: a proxy on loopback that keeps every message back, and counts round trips."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

__all__ = ["Far", "far_server"]

_CHUNK = 1 << 20


@dataclass
class Far:
    """What is known of the way to the server.

    Parameters
    ----------
    url : str
        Of the database at the end of it; keeps the query that was there, but for the host.
    delay_s : float
        How long a request, and an answer, is under way together.
    round_trips : int
        How often something was sent after an answer, by any connection.
    connections : int
        How often somebody connected.
    """

    url: str
    delay_s: float
    round_trips: int = 0
    connections: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Count anew."""
        with self._lock:
            self.round_trips = self.connections = 0

    def asked(self, *, connected: bool = False) -> None:
        """Take note that somebody waits for an answer, or has connected."""
        with self._lock:
            self.round_trips += not connected
            self.connections += connected


@contextlib.contextmanager
def far_server(url: str, delay_s: float = 0.002) -> Iterator[Far]:
    """Put a proxy before a server that listens on a socket of this machine, for as long as the block lasts."""
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    server = f"{query.pop('host')}/.s.PGSQL.{query.pop('port', 5432)}"
    listener = socket.create_server(("127.0.0.1", 0))
    user = (parts.username or "postgres").strip()
    place = f"postgresql://{user}@127.0.0.1:{listener.getsockname()[1]}{parts.path}"
    query |= {"sslmode": "disable", "gssencmode": "disable"}
    far = Far(f"{place}?{urlencode(query)}", delay_s)
    accepting = threading.Thread(target=_accept, args=(listener, server, far), daemon=True)
    accepting.start()
    try:
        yield far
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()


def _accept(listener: socket.socket, server: str, far: Far) -> None:
    serving = []
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            break
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.asked(connected=True)
        serving.append(threading.Thread(target=_serve, args=(client, server, far), daemon=True))
        serving[-1].start()
    for thread in serving:
        thread.join(5)


def _serve(client: socket.socket, server: str, far: Far) -> None:
    """Hand on what comes from either side; what follows an answer is a new request, which takes its time."""
    upstream = socket.socket(socket.AF_UNIX)
    upstream.connect(server)
    other = {client: upstream, upstream: client}
    answered = True
    with client, upstream, selectors.DefaultSelector() as ready:
        for side in other:
            ready.register(side, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                side = client if key.fileobj is client else upstream
                try:
                    data = side.recv(_CHUNK)
                except ConnectionError:
                    return
                if not data:
                    return
                if side is client and answered:
                    far.asked()
                    time.sleep(far.delay_s)
                answered = side is upstream
                with contextlib.suppress(BrokenPipeError):
                    other[side].sendall(data)
