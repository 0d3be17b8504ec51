"""Numbers drawn for examples by a hash of their ids: the same whatever the order, the shard or the size of the pool."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def uniform_draws(ids: Iterable[str], seed: int) -> NDArray[np.float64]:
    """One number in [0, 1) per id, independent between ids and between seeds; about a million ids a second."""
    key = seed.to_bytes(8, "little", signed=True)
    digests = b"".join(hashlib.blake2b(example_id.encode(), digest_size=8, key=key).digest() for example_id in ids)
    # A float64 holds 53 bits exactly: with more, the largest draws would round up to 1.
    bits = np.frombuffer(digests, dtype="<u8") >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53
