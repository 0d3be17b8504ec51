"""Leases of GPUs: pretended devices, real processes, real kills."""

import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from adg_pipeline.host.gpu_devices import Gpu, installed_gpus, named_gpus, parse_query, visible_gpus
from adg_pipeline.host.gpu_leases import GpuLeaseResource, GpuLeases

# Forked: a worker starts in milliseconds, so that many can be killed; and locks must not leak through a fork.
fork = multiprocessing.get_context("fork")


def gpus(count: int, **memory: int) -> list[Gpu]:
    return [Gpu(str(index), f"GPU-{index}", **memory) for index in range(count)]


def leases_of(directory: Path, count: int) -> GpuLeases:
    return GpuLeases(directory, poll_seconds=0.005, find=lambda: gpus(count))


@pytest.fixture(autouse=True)
def _no_cuda_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)


def test_a_lease_shows_its_devices_to_cuda_and_hides_them_afterwards(tmp_path: Path) -> None:
    with leases_of(tmp_path, 3).acquire(2) as ids:
        assert ids == ["0", "1"]
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"
        assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_machine_without_gpus_needs_no_lease(tmp_path: Path) -> None:
    with GpuLeases(tmp_path / "locks", find=list).acquire(4) as ids:
        assert ids == []
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert not (tmp_path / "locks").exists()


def test_work_that_wants_no_gpu_sees_none(tmp_path: Path) -> None:
    with GpuLeases(tmp_path, devices="none", find=lambda: gpus(2)).acquire() as ids:
        assert ids == []
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_more_devices_than_there_are_is_refused_at_once(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="3 GPUs are needed at once, and there are 2"),
        leases_of(tmp_path, 2).acquire(3),
    ):
        pass


def test_a_named_device_that_is_missing_is_told_with_those_there_are(tmp_path: Path) -> None:
    leases = GpuLeases(tmp_path, devices="1,7", find=lambda: gpus(2))
    with pytest.raises(ValueError, match=r"GPU '7' is not on this machine.*there are: 0, 1"):
        leases.gpus()


def test_a_device_filled_by_other_programs_is_passed_over_and_told(tmp_path: Path) -> None:
    busy = [Gpu("0", "GPU-0", 70_000, 80_000), Gpu("1", "GPU-1", 500, 80_000)]
    leases = GpuLeases(tmp_path, poll_seconds=0.01, find=lambda: busy)
    with leases.acquire() as ids:
        assert ids == ["1"]
    said: list[str] = []
    with pytest.raises(TimeoutError, match="GPU 0 has 70000 of 80000 MiB"), leases.acquire(2, 0.05, said.append):
        pass
    assert "waiting for 2 free GPU(s)" in said[0]


def test_a_second_lease_in_one_process_is_refused(tmp_path: Path) -> None:
    leases = leases_of(tmp_path, 2)
    with leases.acquire(), pytest.raises(RuntimeError, match="holds a lease already"), leases.acquire():
        pass
    with leases.acquire(2):
        pass


def test_once_cuda_has_started_only_the_same_devices_can_be_leased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = leases_of(tmp_path, 3)
    monkeypatch.setattr(GpuLeases, "_latest", None)
    started = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: True))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch", started)
        with pytest.raises(RuntimeError, match="devices that were not leased"), leases.acquire():
            pass
    with leases.acquire(1):
        monkeypatch.setitem(sys.modules, "torch", started)
    with leases.acquire(1) as ids:
        assert ids == ["0"]
    with pytest.raises(RuntimeError, match="CUDA has started in this process, with GPU 0"), leases.acquire(2):
        pass


def test_a_killed_holder_frees_its_device_at_once_though_a_child_lives_on(tmp_path: Path) -> None:
    children = fork.SimpleQueue()

    def holder() -> None:
        with leases_of(tmp_path, 1).acquire():
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(0)
            children.put(child)
            time.sleep(60)

    process = fork.Process(target=holder)
    process.start()
    child = children.get()
    try:
        with (
            pytest.raises(TimeoutError, match=f"held by process {process.pid}"),
            leases_of(tmp_path, 1).acquire(1, 0.05),
        ):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        os.kill(child, 0)  # still there
        with leases_of(tmp_path, 1).acquire() as ids:
            assert ids == ["0"]
    finally:
        os.kill(child, signal.SIGKILL)


def test_who_waits_for_two_is_served_before_who_came_later_for_one(tmp_path: Path) -> None:
    served = fork.SimpleQueue()

    def wait_for(count: int, hold_seconds: float) -> None:
        with leases_of(tmp_path, 2).acquire(count):
            served.put(count)
            time.sleep(hold_seconds)

    waiters = [fork.Process(target=wait_for, args=(count, 0.05)) for count in (2, 1, 1)]
    with leases_of(tmp_path, 2).acquire(1):  # one device stays free all the while
        for number, waiter in enumerate(waiters, start=1):
            waiter.start()
            while len(list(tmp_path.glob("*.ticket"))) < number:
                assert waiter.is_alive(), "who came later didn't queue"
                time.sleep(0.005)
        time.sleep(0.05)
        assert served.empty()
    assert served.get() == 2
    for waiter in waiters:
        waiter.join()
        assert waiter.exitcode == 0


def test_under_random_kills_no_device_is_held_twice_none_is_lost_and_all_get_their_turn(tmp_path: Path) -> None:
    """Eight processes contend for three devices, half of them for two at once; every few moments one is killed."""
    locks, journal = tmp_path / "locks", tmp_path / "journal"
    chance = random.Random(7)

    def write(*words: object) -> None:
        line = " ".join(map(str, words)) + "\n"
        descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, line.encode())
        os.close(descriptor)

    def work(count: int) -> None:
        moments = random.Random(os.getpid())
        while True:
            with leases_of(locks, 3).acquire(count) as ids:
                write("take", time.monotonic(), os.getpid(), count, ",".join(ids))
                time.sleep(moments.uniform(0.001, 0.02))
                write("give", time.monotonic(), os.getpid())

    def start(count: int) -> tuple[int, multiprocessing.process.BaseProcess]:
        worker = fork.Process(target=work, args=(count,))
        worker.start()
        return count, worker

    def kill(worker: multiprocessing.process.BaseProcess) -> None:
        write("give", time.monotonic(), worker.pid)
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()

    workers = [start(1 + number % 2) for number in range(8)]

    def takes() -> Counter[str]:
        return Counter(line.split()[3] for line in journal.read_text().splitlines() if line.startswith("take"))

    killed = 0
    while killed < 60 or min(takes()[count] for count in "12") <= 10:
        time.sleep(chance.uniform(0.02, 0.1))
        victim = chance.randrange(len(workers))
        count, worker = workers[victim]
        kill(worker)
        killed += 1
        workers[victim] = start(count)
    for _, worker in workers:
        kill(worker)

    events = sorted((float(line.split()[1]), line.split()) for line in journal.read_text().splitlines())
    holder: dict[str, str] = {}
    served = defaultdict(int)
    for _, (kind, _, process, *rest) in events:
        if kind == "take":
            count, ids = int(rest[0]), rest[1].split(",")
            assert len(set(ids)) == count
            assert not holder.keys() & set(ids), f"{ids} given to {process} while held: {holder}"
            holder.update(dict.fromkeys(ids, process))
            served[count] += 1
        else:
            holder = {name: owner for name, owner in holder.items() if owner != process}
    assert served[2] > served[1] / 4, "who needs two starves"
    with leases_of(locks, 3).acquire(3):
        assert len(list(locks.glob("*.ticket"))) == 0


def test_the_resource_hands_out_leases_and_tells_the_log(tmp_path: Path) -> None:
    with GpuLeaseResource(directory=str(tmp_path), devices="none").lease(2) as ids:
        assert ids == []


def test_the_drivers_table_is_read_also_where_it_knows_no_memory() -> None:
    table = "0, GPU-aaaa, 512, 81559, NVIDIA L4\n1, GPU-bbbb, [N/A], [N/A], NVIDIA H100 80GB HBM3 MIG 1g.10gb\n"
    assert parse_query(table) == [
        Gpu("0", "GPU-aaaa", 512, 81559, "NVIDIA L4"),
        Gpu("1", "GPU-bbbb", None, None, "NVIDIA H100 80GB HBM3 MIG 1g.10gb"),
    ]
    assert parse_query(table)[1].used_share == 0


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("1,0", ["1", "0"]), ("GPU-b", ["GPU-b"]), ("0,-1,1", ["0"]), ("", []), ("MIG-x/1/0,0", ["MIG-x/1/0", "0"])],
)
def test_devices_are_named_as_cuda_names_them(visible: str, expected: list[str]) -> None:
    found = [Gpu("0", "GPU-aaaa"), Gpu("1", "GPU-bbbb")]
    assert [gpu.id for gpu in named_gpus(found, visible.split(","))] == expected


def test_visible_devices_that_are_already_narrowed_stay_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\nprintf "0, GPU-aaaa, 1, 10, L4\\n1, GPU-bbbb, 1, 10, L4\\n"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert [gpu.id for gpu in installed_gpus()] == ["0", "1"]
    assert [gpu.id for gpu in visible_gpus({"CUDA_VISIBLE_DEVICES": "1"})] == ["1"]
    assert [gpu.id for gpu in visible_gpus({})] == ["0", "1"]
