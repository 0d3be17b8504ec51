"""Stands between a pipeline and its object store: counts requests, and lets some of them fail as a busy store does."""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_SECONDS = 0.3


class Gateway:
    """counts: requests by method. failed: of those that were let fail, by how. share: of requests that fail.
    ignored: headers that don't get through."""

    def __init__(self, target: str) -> None:
        self.target = target.removeprefix("http://")
        self.counts: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.share = 0.0
        self.ignored: set[str] = set()
        self._random, self._lock = random.Random(5), threading.Lock()

    def fault(self, method: str) -> str | None:
        with self._lock:
            self.counts[method] += 1
            if self._random.random() >= self.share:
                return None
            how = self._random.choice(["429", "500", "503", "dropped before", "dropped after", "slow"])
            self.failed[how] += 1
            return how


@contextmanager
def gateway(target: str) -> Iterator[tuple[Gateway, str]]:
    """The gateway and its address."""
    told = Gateway(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            how = told.fault(self.command)
            if how in ("429", "500", "503"):
                self.answer(int(how), {}, b"")
                return
            if how == "dropped before":
                self.close_connection = True
                return
            if how == "slow":
                time.sleep(SLOW_SECONDS)
            server = http.client.HTTPConnection(told.target, timeout=60)
            passed = {key: value for key, value in self.headers.items() if key.lower() not in told.ignored}
            server.request(self.command, self.path, body, passed)
            found = server.getresponse()
            headers, content = dict(found.getheaders()), found.read()
            server.close()
            if how == "dropped after":  # done, but nobody is told
                self.close_connection = True
                return
            self.answer(found.status, headers, content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

        def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response_only(status)
            kept = {
                key: value for key, value in headers.items() if key.lower() not in ("connection", "transfer-encoding")
            }
            if self.command != "HEAD":
                kept = {key: value for key, value in kept.items() if key.lower() != "content-length"}
                kept["Content-Length"] = str(len(content))
            for key, value in kept.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield told, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
