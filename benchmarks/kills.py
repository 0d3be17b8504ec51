"""Kills the parts of running pipelines with SIGKILL at random moments and compares what comes out with undisturbed runs.

    python -m benchmarks.kills [--kills 60] [--seed 0] [--kinds command,objects,late,endpoint,watched]

Five kinds of pipelines in turn, each on a pool of its own, until there were enough kills: `adg run --train` (its worker, a
step, the training, or all of it), the same in an object store, the same with nothing but selection and training left to do,
`adg run` against a counting server, and `dagster dev` with its sensors (run worker, step, daemon, code server, or all). The
exit code is 1 if rows, vectors, subset or weights differ, the ledger says other than the tables, anything is left behind, or
more requests were paid twice than were in flight.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from adg_pipeline_tests.kills.campaign import (
    ENDPOINT_IN_FLIGHT,
    Kill,
    paid_twice,
    prepare,
    prepare_endpoint,
    run_command,
    run_under_kills,
    wait_for_requests,
    watch_under_kills,
)
from adg_pipeline_tests.kills.outcome import Outcome, assert_same, leftovers, outcome
from adg_pipeline_tests.kills.victims import wait_for_moment
from adg_pipeline_tests.object_store.hosts import Host, new_bucket
from adg_pipeline_tests.object_store.s3_server import s3_server
from adg_pipeline_tests.resources.generators.faulty_server import FaultyServer, serve, slow
from adg_pipeline_tests.workbench import Workbench

SECONDS = 900.0  # longest time for one watched pipeline
SHARES = {"command": 0.25, "objects": 0.25, "late": 0.1, "endpoint": 0.15, "watched": 0.25}


class Campaigns:
    """Pipelines in folders of their own, and what came of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.kills: list[Kill] = []
        self.faults: list[str] = []

    def new(self, name: str) -> Workbench:
        return Workbench(self.folder / name)

    def command(self, expected: Outcome, kills: int) -> None:
        def run(bench: Workbench, most: int) -> list[Kill]:
            prepare(bench)
            return run_under_kills(bench, self.seed, most, ["--train"])

        self._repeat("command", kills, 12, run, expected)

    def objects(self, server: str, expected: Outcome, kills: int) -> None:
        def run(bench: Workbench, most: int) -> list[Kill]:
            prepare(bench)
            return run_under_kills(bench, self.seed, most, ["--train"])

        with new_bucket(server) as url:

            def new(name: str) -> Workbench:
                return Host(self.folder / name, url=f"{url}/{name}")

            self._repeat("objects", kills, 12, run, expected, new)

    def late(self, expected: Outcome, kills: int) -> None:
        """Kills of the selection and the training: the shards are computed already."""

        def run(bench: Workbench, most: int) -> list[Kill]:
            prepare(bench)
            run_command(bench, "--budget", "10")
            folders = ("semantic_bins", "selections", "checkpoints")
            wait = partial(wait_for_moment, data=bench.data, longest=8.0, folders=folders)
            # The budget of the run before is kept otherwise.
            return run_under_kills(bench, self.seed, most, ["--train", "--as-configured"], wait)

        self._repeat("late", kills, 8, run, expected)

    def watched(self, expected: Outcome, kills: int) -> None:
        def run(bench: Workbench, most: int) -> list[Kill]:
            prepare(bench)
            return watch_under_kills(bench, self.seed, most, SECONDS)

        self._repeat("watched", kills, 8, run, expected)

    def endpoint(self, server: FaultyServer, expected: Outcome, kills: int) -> None:
        def run(bench: Workbench, most: int) -> list[Kill]:
            server.bodies.clear()
            prepare_endpoint(bench, server.url)
            done = run_under_kills(bench, self.seed, most, [], wait_for_requests(server))
            asked = Counter((body["prompt"], body["seed"]) for body in server.bodies)
            again = paid_twice(asked)
            print(f"  {len(asked)} requests, {again} paid twice in {len(done)} kills", flush=True)
            if again > ENDPOINT_IN_FLIGHT * len(done):
                self.faults.append(f"{again} requests were paid twice in {len(done)} kills")
            return done

        self._repeat("endpoint", kills, 6, run, expected)

    def _repeat(
        self,
        name: str,
        kills: int,
        most: int,
        run: Callable[[Workbench, int], list[Kill]],
        expected: Outcome,
        new: Callable[[str], Workbench] | None = None,
    ) -> None:
        wanted = len(self.kills) + kills
        while len(self.kills) < wanted:
            self.seed += 1
            bench = (new or self.new)(f"{name}-{self.seed}")
            began = time.monotonic()
            try:
                done = run(bench, min(most, wanted - len(self.kills)))
                assert_same(outcome(bench), expected)
                left = leftovers(bench)
                verdict = f"left behind: {left}" if left else "the same as undisturbed"
                self.faults += [f"{bench.folder.name}: {verdict}"] if left else []
            except AssertionError as error:
                done, verdict = [], f"{type(error).__name__}: {error}"
                self.faults.append(f"{bench.folder.name}: {verdict}")
                wanted -= 1  # an end for a pipeline that never ends well
            self.kills += done
            print(f"{bench.folder.name}: {len(done)} kills in {time.monotonic() - began:.0f} s, {verdict}")
            for kill in done:
                print(f"  {kill}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(SHARES), help="which of them; each takes its part of the kills")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if unknown := set(kinds) - set(SHARES):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}; known are {', '.join(SHARES)}")
    with tempfile.TemporaryDirectory(prefix="kills-") as folder, serve() as server:
        campaigns = Campaigns(Path(folder), options.seed)
        undisturbed = campaigns.new("undisturbed")
        prepare(undisturbed)
        run_command(undisturbed, "--train")
        trained = outcome(undisturbed)
        answered = campaigns.new("undisturbed-endpoint")
        prepare_endpoint(answered, server.url)
        run_command(answered)
        server.fault = slow(0.2)
        share = {name: round(options.kills * SHARES[name]) for name in kinds}
        with s3_server() as address:
            run: dict[str, Callable[[int], None]] = {
                "command": partial(campaigns.command, trained),
                "objects": partial(campaigns.objects, address, trained),
                "late": partial(campaigns.late, trained),
                "endpoint": partial(campaigns.endpoint, server, outcome(answered)),
                "watched": partial(campaigns.watched, trained.without_checkpoint()),
            }
            for kind, kills in share.items():
                run[kind](kills)
        _report(campaigns)
        return 1 if campaigns.faults else 0


def _report(campaigns: Campaigns) -> None:
    kills = campaigns.kills
    print(f"\n{len(kills)} kills: {dict(Counter(kill.part for kill in kills))}")
    print(f"by stage: {dict(Counter(kill.stage for kill in kills).most_common())}")
    waits = sorted(kill.recovered_seconds for kill in kills if kill.recovered_seconds is not None)
    if waits:
        print(f"the next step began after {waits[len(waits) // 2]:.1f} s (median), {waits[-1]:.1f} s at most")
    print("\n".join(campaigns.faults) or "no fault")


if __name__ == "__main__":
    sys.exit(main())
