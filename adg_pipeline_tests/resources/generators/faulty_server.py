"""A small completions server that misbehaves on demand: faults that no real server can be made to show."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


class Handler(BaseHTTPRequestHandler):
    """One connection; `reply` and `cut` are what a fault is made of."""

    protocol_version = "HTTP/1.1"
    server: "Listener"
    body: Body

    def do_GET(self) -> None:
        world = self.server.world
        world.keys.add(self.headers.get("Authorization", ""))
        world.on_models(self)

    def do_POST(self) -> None:
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        world = self.server.world
        with world.lock:
            world.bodies.append(self.body)
            world.in_flight += 1
            world.most_in_flight = max(world.most_in_flight, world.in_flight)
            fault = world.faults.pop(0) if world.faults else world.fault
        try:
            fault(self)
        finally:
            with world.lock:
                world.in_flight -= 1

    def reply(self, status: int, body: Any, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def cut(self) -> None:
        """Announce more than is sent, then hang up."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"choices": [')
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


Fault = Callable[[Handler], None]


def answer(handler: Handler) -> None:
    """The well-behaved reply: a text made of prompt and seed."""
    text = f"{handler.body['prompt']}/{handler.body.get('seed')}"
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    handler.reply(200, {"choices": [{"text": text, "finish_reason": "stop"}], "usage": usage})


def status(code: int, message: str = "no", **headers: str) -> Fault:
    return lambda handler: handler.reply(code, {"error": {"message": message}}, **headers)


def slow(seconds: float) -> Fault:
    def reply(handler: Handler) -> None:
        time.sleep(seconds)
        answer(handler)

    return reply


def models(*names: str, context_length: int | None = None) -> Fault:
    entries = [{"id": name, "max_model_len": context_length} for name in names]
    return lambda handler: handler.reply(200, {"data": entries})


@dataclass
class FaultyServer:
    """faults: how the first requests are met, in turn; fault: how all later ones are."""

    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    fault: Fault = answer
    on_models: Fault = field(default_factory=lambda: models("tiny"))
    bodies: list[Body] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    in_flight: int = 0
    most_in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    world: FaultyServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked has hung up, or was killed: that is what the tests are about."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serve() -> Iterator[FaultyServer]:
    listener = Listener(("127.0.0.1", 0), Handler)
    listener.world = FaultyServer(url=f"http://127.0.0.1:{listener.server_port}/v1")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield listener.world
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
