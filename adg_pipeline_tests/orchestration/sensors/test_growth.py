"""What the growth sensor decides: a pure function of the listing, the states, and what it remembers."""

from pathlib import Path

from adg_pipeline.formats.shards import PoolListing, ShardFile
from adg_pipeline.lineage.states import AssetState, ShardState
from adg_pipeline.orchestration.sensors.growth import MAX_ATTEMPTS, Attempt, GrowthDecision, decide_growth

NOW = 1_000_000.0


def file(name: str, size: int = 10, age: float = 100.0) -> ShardFile:
    return ShardFile(Path(f"/pool/{name}.jsonl"), size, int((NOW - age) * 1e9))


def listing(*files: ShardFile) -> PoolListing:
    return PoolListing({entry.path.stem: entry for entry in files}, [])


def states(**by_shard: AssetState) -> dict[str, ShardState]:
    return {shard: ShardState(shard, {"raw_pool": state}) for shard, state in by_shard.items()}


MISSING, CURRENT = AssetState("missing"), AssetState("current")
OTHER_MODEL = AssetState("stale", "backbone a → b", recipe_changed=True)


def seen(pool: PoolListing) -> dict[str, Attempt]:
    return decide(pool, states(**dict.fromkeys(pool.shards, CURRENT))).memory


def decide(
    pool: PoolListing,
    shard_states: dict[str, ShardState],
    registered: list[str] | None = None,
    busy: list[str] | None = None,
    memory: dict[str, Attempt] | None = None,
    now: float = NOW,
) -> GrowthDecision:
    return decide_growth(pool, shard_states, registered or [], busy or [], memory or {}, now, settle_seconds=3)


def test_a_new_file_is_taken_at_the_second_look() -> None:
    pool = listing(file("a"))
    first = decide(pool, states(a=MISSING))
    assert (first.add, first.request) == ([], [])
    second = decide(pool, states(a=MISSING), memory=first.memory)
    assert (second.add, second.request) == (["a"], ["a"])


def test_a_file_that_still_grows_is_not_taken() -> None:
    memory = seen(listing(file("a", size=10)))
    decision = decide(listing(file("a", size=20)), states(a=MISSING), memory=memory)
    assert decision.request == []
    assert "waiting until a.jsonl is no longer written to" in decision.notes[0]


def test_a_file_written_a_moment_ago_is_not_taken() -> None:
    pool = listing(file("a", age=1))
    assert decide(pool, states(a=MISSING), memory=seen(pool)).request == []


def test_a_shard_in_flight_is_not_asked_for_again() -> None:
    pool = listing(file("a"))
    assert decide(pool, states(a=MISSING), ["a"], busy=["a"], memory=seen(pool)).request == []


def test_a_failing_shard_is_asked_for_three_times_and_then_put_aside() -> None:
    pool, memory, now, requests = listing(file("a")), seen(listing(file("a"))), NOW, 0
    for _ in range(100):
        decision = decide(pool, states(a=MISSING), ["a"], memory=memory, now=now)
        requests += len(decision.request)
        memory, now = decision.memory, now + 60
        if decision.give_up:
            break
    assert requests == MAX_ATTEMPTS
    assert decision.give_up == ["a"]


def test_an_edited_file_gets_new_attempts() -> None:
    exhausted = {"a": Attempt(seen(listing(file("a")))["a"].version, MAX_ATTEMPTS, NOW)}
    edited = listing(file("a", size=11))
    first = decide(edited, states(a=MISSING), ["a"], memory=exhausted)
    assert decide(edited, states(a=MISSING), ["a"], memory=first.memory).request == ["a"]


def test_a_change_of_settings_is_left_to_a_person() -> None:
    pool = listing(file("a"), file("b"))
    decision = decide(pool, states(a=OTHER_MODEL, b=OTHER_MODEL), ["a", "b"], memory=seen(pool))
    assert decision.request == []
    assert "2 shards are stale because settings changed" in decision.notes[0]


def test_a_removed_file_is_cleaned_up_once_its_run_has_ended() -> None:
    pool = listing(file("b"))
    first = decide(pool, states(b=CURRENT), ["a", "b"], busy=["a"], memory=seen(pool))
    assert first.remove == []
    running = decide(pool, states(b=CURRENT), ["a", "b"], busy=["a"], memory=first.memory, now=NOW + 31)
    assert running.remove == []
    ended = decide(pool, states(b=CURRENT), ["a", "b"], memory=running.memory, now=NOW + 33)
    assert ended.remove == ["a"]
    again = decide(pool, states(b=CURRENT), ["a", "b"], memory=ended.memory, now=NOW + 35)
    assert again.remove == []


def test_a_file_that_comes_back_soon_or_is_only_disputed_loses_nothing() -> None:
    away = listing(file("b"))
    first = decide(away, states(b=CURRENT), ["a", "b"], memory=seen(away))
    assert "removed if it doesn't come back" in first.notes[0]
    both = listing(file("a"), file("b"))
    back = decide(both, states(a=CURRENT, b=CURRENT), ["a", "b"], memory=first.memory, now=NOW + 20)
    later = decide(away, states(b=CURRENT), ["a", "b"], memory=back.memory, now=NOW + 40)
    assert later.remove == []
    disputed = PoolListing(away.shards, [], frozenset({"a"}))
    assert decide(disputed, states(b=CURRENT), ["a", "b"], memory=first.memory, now=NOW + 60).remove == []


def test_an_empty_directory_removes_nothing() -> None:
    decision = decide(listing(), {}, ["a", "b"])
    assert decision.remove == []
    assert "nothing is removed" in decision.notes[0]


def test_a_damaged_shard_is_told_and_left_to_a_person() -> None:
    pool = listing(file("a"))
    damaged = AssetState("damaged", "a.parquet: damaged. Delete the file", delete=[Path("a.parquet")])
    decision = decide(pool, states(a=damaged), memory=seen(pool))
    assert (decision.request, decision.give_up) == ([], [])
    assert decision.notes == ["a: a.parquet: damaged. Delete the file"]


def test_only_what_is_in_motion_is_remembered() -> None:
    """Dagster stores the cursor at every look: it mustn't be as long as the pool."""
    pool = listing(file("done"), file("other"), file("new"), file("edited"), file("failed"))
    edited = AssetState("stale", "the file changed")
    kinds = states(done=CURRENT, other=OTHER_MODEL, new=MISSING, edited=edited, failed=MISSING)
    known = ["done", "other", "edited", "failed", "gone"]
    first = decide(pool, kinds, known)
    assert sorted(first.memory) == ["edited", "failed", "gone", "new"]
    second = decide(pool, kinds, known, memory=first.memory)
    assert second.request == ["edited", "failed", "new"]
    finished = decide(pool, states(**dict.fromkeys(pool.shards, CURRENT)), [*known, "new"], memory=second.memory)
    assert sorted(finished.memory) == ["gone"]


def test_damage_that_many_shards_share_is_told_once() -> None:
    pool = listing(file("a"), file("b"))
    damaged = AssetState("damaged", "the table is damaged", delete=[Path("table")])
    assert decide(pool, states(a=damaged, b=damaged), ["a", "b"]).notes == ["2 shards, such as a: the table is damaged"]
