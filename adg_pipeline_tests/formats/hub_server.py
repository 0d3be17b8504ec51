"""A stand-in for the Hugging Face hub on this machine: one data set, as far as `datasets` asks for it when it streams."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlparse

COMMIT = "a" * 40


@contextmanager
def hub(name: str, files: Mapping[str, bytes], tag: str = "v1") -> Iterator[str]:
    """Serve the files of a data set at one commit, which has a tag; give the server's address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlparse(self.path).path)
            api, resolve = f"/api/datasets/{name}", f"/datasets/{name}/resolve/{COMMIT}/"
            if path in (api, f"{api}/revision/{tag}", f"{api}/revision/{COMMIT}"):
                about = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]}
                self.answer(200, json.dumps(about).encode())
            elif path.startswith(f"{api}/revision/"):
                self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            elif path.startswith(f"{api}/tree/{COMMIT}"):
                self.answer(200, json.dumps(_listing(files, path.partition(f"{COMMIT}/")[2])).encode())
            elif path.startswith(resolve) and path.removeprefix(resolve) in files:
                self.serve(files[path.removeprefix(resolve)])
            else:
                code = "EntryNotFound" if path.startswith(resolve) else "RepoNotFound"
                self.answer(404, b"{}", {"X-Error-Code": code})

        def serve(self, data: bytes) -> None:
            headers = {"ETag": f'"{"b" * 40}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            asked = self.headers.get("Range")
            if not asked:
                self.answer(200, data, headers)
                return
            first, _, last = asked.partition("=")[2].partition("-")
            begin, end = int(first), min(int(last or len(data)), len(data) - 1)
            self.answer(206, data[begin : end + 1], {**headers, "Content-Range": f"bytes {begin}-{end}/{len(data)}"})

        def answer(self, status: int, data: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for key, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _listing(files: Mapping[str, bytes], folder: str) -> list[dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for file, data in files.items():
        if folder and not file.startswith(f"{folder}/"):
            continue
        head, _, below = file.removeprefix(f"{folder}/" if folder else "").partition("/")
        path = f"{folder}/{head}" if folder else head
        kind = {"type": "directory"} if below else {"type": "file", "size": len(data)}
        found[path] = {"path": path, "oid": "c" * 40, **kind}
    return list(found.values())
