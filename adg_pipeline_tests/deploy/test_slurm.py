"""deploy/slurm: the job file by itself, and on a real Slurm."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from adg_pipeline.orchestration.compute import gpu_op_tags
from adg_pipeline.orchestration.runs import SLURM_TAG
from adg_pipeline.resources.generators.journal import read_journal
from adg_pipeline.settings.sections import GenerationConfig
from adg_pipeline_tests.deploy.one_node_slurm import OVER, Slurm, missing, one_node_slurm
from adg_pipeline_tests.resources.generators.faulty_server import serve, slow
from adg_pipeline_tests.workbench import Workbench, records

JOB = Path(__file__).resolve().parents[2] / "deploy" / "slurm" / "adg.sbatch"
SMALL = ("--cpus-per-task=1", "--mem=1000", "--time=60")  # what the test's node has


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    if lacking := missing():
        pytest.skip(f"{', '.join(lacking)} not installed: `apt-get install slurm-wlm munge` brings them")
    with one_node_slurm() as cluster:
        yield cluster


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def adg(folder: Path) -> Path:
    """`adg` of this checkout, which says first what Slurm gave it."""
    says = 'echo "devices ${CUDA_VISIBLE_DEVICES-none}"'
    return program(folder / "adg", f'#!/bin/sh\n{says}\nexec {sys.executable} -m adg_pipeline.cli "$@"\n')


def test_the_job_file_asks_for_the_gpus_that_the_tags_of_a_step_name() -> None:
    asked = re.search(r"^#SBATCH --gres=gpu:(\d+)$", JOB.read_text("utf-8"), re.MULTILINE)
    assert asked is not None
    tags = gpu_op_tags(GenerationConfig(engine="vllm").gpus_needed)
    assert tags["dagster-ray/config"] == {"num_gpus": int(asked[1])}
    assert tags["dagster-k8s/config"]["container_config"]["resources"]["limits"] == {"nvidia.com/gpu": asked[1]}


@pytest.mark.parametrize(
    ("ends", "told", "code", "requeued"),
    [(0, False, 0, False), (1, False, 1, False), (1, True, 1, False), (138, True, 138, True), (0, True, 0, False)],
)
def test_only_what_was_stopped_by_the_time_limit_goes_back_into_the_queue(
    tmp_path: Path, ends: int, told: bool, code: int, requeued: bool
) -> None:
    """The file run by bash, with stand-ins for `adg` and for Slurm's command."""
    waits = "trap 'exit \"$1\"' USR1; touch ready; while :; do sleep 0.05; done" if told else 'exit "$1"'
    fake = f'#!/bin/bash\necho "$@" >called\nset -- {ends}\n{waits}\n'
    program(tmp_path / "scontrol", '#!/bin/sh\necho "$@" >scontrol-called\n')
    environment = {
        **os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "ADG": str(program(tmp_path / "adg", fake)),
        "SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4",
        "TMPDIR": str(tmp_path),
    }  # fmt: skip
    environment.pop("DAGSTER_HOME", None)
    process = subprocess.Popen(["bash", str(JOB), "--arm", "adg"], cwd=tmp_path, env=environment)
    while told and not (tmp_path / "ready").exists():
        assert process.poll() is None
        time.sleep(0.05)
    if told:
        process.send_signal(signal.SIGUSR1)
    assert process.wait() == code
    assert (tmp_path / "called").read_text().split() == ["run", "--shards", "3/4", "--arm", "adg"]
    called = tmp_path / "scontrol-called"
    # Job 7 would be all tasks of the array.
    assert (called.read_text().split() if called.exists() else None) == (["requeue", "7_3"] if requeued else None)
    assert not list(tmp_path.glob("tmp.*"))  # its own records of Dagster


@pytest.mark.slow
@pytest.mark.xdist_group("slurm")  # one cluster for both
def test_an_array_over_the_shards_and_a_job_after_it_select_what_adg_run_selects(
    slurm: Slurm, bench: Workbench, finished: Workbench, tmp_path: Path
) -> None:
    bench.add("a", records(12))
    bench.add("b", records(12, first=12))
    environment = {**bench.environment(), "ADG": str(adg(tmp_path)), "PYTHONPATH": str(JOB.parents[2])}
    del environment["DAGSTER_HOME"]  # each job has records of its own
    where = (f"--chdir={tmp_path}", f"--output={tmp_path}/%A-%a.log")
    shards = slurm.call("sbatch", "--parsable", "--array=1-2", *SMALL, *where, str(JOB), **environment)
    after = ("--gres=none", f"--dependency=afterok:{shards}")
    last = slurm.call("sbatch", "--parsable", *after, *SMALL, *where, str(JOB), "--json", **environment)
    told = "".join(path.read_text() for path in sorted(tmp_path.glob("*.log")))
    assert set(slurm.wait_for(shards, last).values()) == {"COMPLETED"}, told
    logs = {path.name: path.read_text() for path in tmp_path.glob("*.log")}
    tasks = [logs[f"{shards}-{task}.log"] for task in (1, 2)]
    assert sorted(re.findall(r"^devices (.*)$", "".join(tasks), re.MULTILINE)) == ["0", "1"]
    assert all("shards computed: 1" in log for log in tasks)
    (selected,) = (log for name, log in logs.items() if name.startswith(f"{last}-"))
    report = json.loads(next(line for line in selected.splitlines() if line.startswith("{")))
    assert report["shards_computed"] == []  # nothing was left for it
    assert bench.subset() == finished.subset()


@pytest.mark.slow
@pytest.mark.xdist_group("slurm")  # one cluster for both
def test_a_job_whose_time_is_over_goes_on_in_the_queue_and_pays_nothing_twice(
    slurm: Slurm, bench: Workbench, tmp_path: Path
) -> None:
    bench.add("a", records(40))
    environment = {**bench.environment(), "ADG": str(adg(tmp_path)), "PYTHONPATH": str(JOB.parents[2])}
    log = tmp_path / "job.log"
    with serve() as server:
        # Slurm looks at time limits twice a minute, so the answers have to last longer than that.
        server.fault = slow(2.0)
        endpoint = {"url": server.url, "model": "tiny", "concurrency": 4}
        bench.settings["generations"].update(engine="endpoint", backbone="embedded", batch_size=2, endpoint=endpoint)
        bench.write_settings()
        where = (f"--chdir={tmp_path}", f"--output={log}")
        job = slurm.call("sbatch", "--parsable", *SMALL, *where, str(JOB), **environment)
        journal = bench.store.journal_path("a")
        while not (journal.exists() and journal.stat().st_size):
            assert slurm.states(job)[job] not in OVER, log.read_text()
            time.sleep(0.1)
        slurm.call("scontrol", "update", f"JobId={job}", "TimeLimit=4")  # less than is left when Slurm gives notice
        while "goes on from here" not in log.read_text():
            assert slurm.states(job)[job] not in OVER, log.read_text()
            time.sleep(0.1)
        kept = len(read_journal(journal))
        assert 0 < kept < 200
        server.fault = slow(0.0)
        slurm.call("scontrol", "update", f"JobId={job}", "TimeLimit=60")
        assert slurm.wait_for(job) == {job: "COMPLETED"}, log.read_text()
        assert len({(body["prompt"], body["seed"]) for body in server.bodies}) == len(server.bodies) == 200
    facts = bench.store.required_provenance("generations", "a").facts
    assert (facts["reused"], facts["asked"]) == (kept, 200 - kept)
    with bench.instance() as instance:
        found = {(run.tags[SLURM_TAG], run.status) for run in instance.get_runs()}
    # The first one read the pool as well; what samples was stopped.
    assert (f"{job}.0", dg.DagsterRunStatus.FAILURE) in found
    assert {status for tag, status in found if tag == f"{job}.1"} == {dg.DagsterRunStatus.SUCCESS}
