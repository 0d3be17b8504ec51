"""A real Slurm of one node with two pretended GPUs: munged, slurmctld and slurmd as children of the test, on loopback."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# States of a job that does nothing any more; on its way it has many others (SIGNALING, COMPLETING, REQUEUED …).
OVER = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"}
DAEMONS = ("munged", "slurmctld", "slurmd")

# Any two devices will do: Slurm hands out their numbers. cred_expire is also how long a job waits that is put back.
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
GresTypes=gpu
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=4000 Gres=gpu:2
PartitionName=main Nodes=node Default=YES MaxTime=INFINITE State=UP
"""
GRES = "NodeName=node Name=gpu File=/dev/null\nNodeName=node Name=gpu File=/dev/zero\n"


def missing() -> list[str]:
    """Programs of Slurm that aren't here. Debian's slurmctld and slurmd lie where only root's PATH looks."""
    return [name for name in (*DAEMONS, "sbatch") if _program(name) is None]


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True)
class Slurm:
    """A running cluster. folder: its configuration, state and logs."""

    folder: Path

    def call(self, *command: str, **environment: str) -> str:
        """What one of Slurm's commands prints. Raises AssertionError with its words where it fails."""
        known = {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf"), **environment}
        done = subprocess.run(command, env=known, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}{self.logs()}"
        return done.stdout.strip()

    def wait_for(self, *jobs: str) -> dict[str, str]:
        """Wait until the jobs are over; their states, by number (``JOB`` or ``JOB_TASK``)."""
        while True:
            states = {job: state for job in jobs for job, state in self.states(job).items()}
            if states and set(states.values()) <= OVER:
                return states
            time.sleep(0.5)

    def states(self, job: str) -> dict[str, str]:
        rows = self.call("squeue", "--noheader", "--states=all", "--array", "--format=%i %T", f"--jobs={job}")
        return dict(row.split() for row in rows.splitlines())  # type: ignore[misc]

    def logs(self) -> str:
        return "".join(
            f"\n{path.name}: {path.read_text(errors='replace')[-2000:]}" for path in self.folder.glob("*.log")
        )


@contextmanager
def one_node_slurm() -> Iterator[Slurm]:
    """Start it, and end its daemons with the block. Raises AssertionError with their words where one doesn't start."""
    with tempfile.TemporaryDirectory(prefix="adg-slurm-", dir="/tmp") as name, ExitStack() as started:
        folder = Path(name)
        for part in ("state", "spool"):
            (folder / part).mkdir()
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        values = {
            "folder": name, "host": socket.gethostname(), "user": os.environ.get("USER") or _user(),
            "cores": os.cpu_count(), "controller": _free_port(), "node": _free_port(),
        }  # fmt: skip
        (folder / "slurm.conf").write_text(CONF.format(**values))
        (folder / "gres.conf").write_text(GRES)
        (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        slurm = Slurm(folder)
        conf = str(folder / "slurm.conf")
        places = [f"--{what}={folder}/munge.{what.partition('-')[0]}" for what in ("socket", "pid-file", "seed-file")]
        munged = started.enter_context(
            _daemon(folder, "munged", "--foreground", "--force", f"--key-file={key}", *places)
        )
        _wait(slurm, munged, lambda: (folder / "munge.socket").exists())
        controller = started.enter_context(_daemon(folder, "slurmctld", "-D", "-i", "-f", conf))
        _wait(slurm, controller, lambda: "UP" in _said(slurm, "scontrol", "ping"))
        node = started.enter_context(_daemon(folder, "slurmd", "-D", "-N", "node", "-f", conf))
        _wait(slurm, node, lambda: _said(slurm, "sinfo", "--noheader", "--format=%t") == "idle")
        yield slurm
        for job in _said(slurm, "squeue", "--noheader", "--format=%A").split():
            _said(slurm, "scancel", job)


@contextmanager
def _daemon(folder: Path, name: str, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    log: IO[bytes]
    with (folder / f"{name}.log").open("wb") as log:
        program = _program(name)
        assert program is not None
        environment: Mapping[str, str] = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        process = subprocess.Popen([program, *arguments], env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait(slurm: Slurm, process: "subprocess.Popen[bytes]", ready: "object") -> None:
    assert callable(ready)
    while not ready():
        assert process.poll() is None, slurm.logs()
        time.sleep(0.2)


def _said(slurm: Slurm, *command: str) -> str:
    """Likewise, but what fails says nothing."""
    try:
        return slurm.call(*command)
    except AssertionError:
        return ""


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
