"""A lock between hosts: an object that its holder renews, and that another one takes over when it isn't renewed any more.

Nobody's clock counts but the waiting host's own: a lease whose version it has seen unchanged for `EXPIRES` seconds has lost
its holder. A holder that couldn't renew for that long, because it was stopped or cut off, finds out before it writes
(`require_held`).
"""

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from adg_pipeline.errors import StoreError
from adg_pipeline.host.mirror.bucket import Bucket, Same, Taken, Version

EXPIRES, RENEWS, LOOKS = 60.0, 15.0, 1.0  # seconds


class LeaseLost(StoreError):
    """Another host has taken over what this process was doing: it was stopped, or cut off from the store, for too long."""

    may_pass = True


@dataclass(eq=False)
class _Held:
    bucket: Bucket
    key: str
    owner: str
    token: str
    version: Version
    number: int
    renewed: float
    lost: bool = False
    ended: threading.Event = field(default_factory=threading.Event)


_held: set[_Held] = set()


def _forget_leases_of_parent() -> None:
    _held.clear()


os.register_at_fork(after_in_child=_forget_leases_of_parent)


@contextmanager
def lease(bucket: Bucket, key: str, owner: str) -> Iterator[None]:
    """Hold the lease `key`, waiting for whoever has it.

    owner: those whose processes take turns by a lock of their own, which the caller holds: a lease that is still in their
    name was left by a process that died.
    """
    held = _take(bucket, key, owner)
    _held.add(held)
    heart = threading.Thread(target=_beat, args=(held,), name=f"lease {key}", daemon=True)
    heart.start()
    try:
        yield
    finally:
        held.ended.set()
        heart.join()
        _held.discard(held)
        if not held.lost:
            _give_back(held)


def require_held() -> None:
    """Raise LeaseLost where a lease of this process may be another host's by now."""
    for held in tuple(_held):  # another thread may take or give back one meanwhile
        if held.lost or time.monotonic() - held.renewed > EXPIRES:
            raise LeaseLost(
                f"{held.bucket.url}/{held.key}: this process couldn't renew its lock for {EXPIRES:.0f} seconds, so another "
                "one may have taken over; nothing was written. Run again: what was finished is kept"
            )


def _take(bucket: Bucket, key: str, owner: str) -> _Held:
    token, since = uuid.uuid4().hex, 0.0
    seen: Version | None = None

    def put(number: int, instead_of: Version | None) -> _Held:
        began = time.monotonic()
        version = bucket.put(key, _text(owner, token, number), new=instead_of is None, instead_of=instead_of)
        return _Held(bucket, key, owner, token, version, number, began)

    while True:
        found = bucket.get(key)
        assert not isinstance(found, Same)
        try:
            if found is None:
                return put(1, None)
            holder = json.loads(found[0])
            if seen != found[1]:
                seen, since = found[1], time.monotonic()
            if holder["token"] is None or holder["owner"] == owner or time.monotonic() - since > EXPIRES:
                return put(int(holder["number"]) + 1, found[1])
        except Taken:
            continue
        time.sleep(LOOKS)


def _beat(held: _Held) -> None:
    while not held.ended.wait(RENEWS):
        began = time.monotonic()
        held.number += 1
        try:
            held.version = held.bucket.put(
                held.key, _text(held.owner, held.token, held.number), instead_of=held.version
            )
            held.renewed = began
        except Taken:
            if not _is_own(held):
                held.lost = True
                return
        except StoreError:
            continue  # what couldn't be reached now may be reached at the next beat; `require_held` looks at the time


def _is_own(held: _Held) -> bool:
    """Whether the lease is still held, by a beat whose answer was lost on its way."""
    try:
        found = held.bucket.get(held.key)
    except StoreError:
        return True  # the next beat tells
    if not isinstance(found, tuple) or json.loads(found[0])["token"] != held.token:
        return False
    held.version = found[1]
    return True


def _give_back(held: _Held) -> None:
    # It stays, without holder: its number goes on growing, so that no version of it comes twice.
    try:
        held.bucket.put(held.key, _text(held.owner, None, held.number + 1), instead_of=held.version)
    except (Taken, StoreError):
        return  # taken over, or it runs out by itself


def _text(owner: str, token: str | None, number: int) -> bytes:
    """number: grows with every put, so that each has a version of its own."""
    return json.dumps({"owner": owner, "token": token, "number": number, "process": os.getpid()}).encode()
