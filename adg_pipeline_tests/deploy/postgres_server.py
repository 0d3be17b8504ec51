"""A PostgreSQL server of its own for tests: on a free port of this machine, in a folder that goes with it."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOYED = Path(__file__).resolve().parents[2] / "deploy" / "postgres" / "dagster.yaml"
HOST, USER, PASSWORD = "127.0.0.1", "adg", "a/b@c"


def programs() -> Path | None:
    """Folder of the server's programs: Debian keeps them off the PATH."""
    found = shutil.which("initdb")
    places = [Path(found).resolve()] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return places[-1].parent if places else None


@dataclass
class PostgresServer:
    """A server that can be stopped and started again."""

    programs: Path
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {"fsync": "off", "listen_addresses": HOST, "unix_socket_directories": "", "max_connections": "50"}
        command = ["postgres", "-D", str(self.folder / "data"), "-p", str(self.port)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / command[0], *command[1:]], stdout=log, stderr=log, cwd=self.folder, **_somebody()
            )
        while self._query("postgres", "select 1") is None:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # ends connections, and waits for nobody
            self.process.wait()

    def settings(self, database: str) -> str:
        """A new database, and the dagster.yaml that names it: the deployed one but for port and name."""
        assert self._query("postgres", f'create database "{database}"') is not None
        deployed = yaml.safe_load(DEPLOYED.read_text("utf-8"))
        deployed["storage"]["postgres"]["postgres_db"] |= {"port": self.port, "db_name": database}
        return yaml.safe_dump(deployed)

    def _query(self, database: str, statement: str) -> str | None:
        """What it answers, None where it doesn't."""
        done = subprocess.run(
            [self.programs / "psql", "-h", HOST, "-p", str(self.port), "-U", USER, "-At", "-c", statement, database],
            env={**os.environ, "PGPASSWORD": PASSWORD}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout.strip() if done.returncode == 0 else None


@contextmanager
def postgres_server(where: Path) -> Iterator[PostgresServer]:
    """A running server. where: the folder of its programs."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="adg-postgres-"))
    server = PostgresServer(where, folder, port)
    try:
        if "user" in _somebody():
            shutil.chown(folder, _somebody()["user"])
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        asked = ["-D", folder / "data", "-U", USER, "-A", "scram-sha-256", "--pwfile", password, "--no-sync"]
        subprocess.run([where / "initdb", *asked], check=True, capture_output=True, cwd=folder, **_somebody())
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _somebody() -> dict[str, Any]:
    """Whom the server runs as: it refuses to be root's."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
