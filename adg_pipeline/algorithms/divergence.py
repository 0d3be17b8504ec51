"""How far, and in what shape, the K sampled answers to an instruction spread apart.

Formulas: "Instruction Data Selection via Answer Divergence" (Li, Wang, Zhang, Ye; arXiv 2604.10448). With unit vectors
v_1 … v_K, their deviations from the mean C and the eigenvalues λ1 ≥ … ≥ λK of C Cᵀ:

- dispersion ``D = Σλ / K``: mean squared distance to the mean, 0 ≤ D ≤ 1;
- anisotropy ``I = 1 - λ1 / Σλ``: 0 when all spread lies on one line, at most ``1 - 1/(K-1)``;
- score ``s = (1 - w) D + w I``.

A clean split of the answers in two camps also lies on one line, so I = 0 there while unstructured noise comes near the
maximum. The diagnostics (effective rank, modes, share of the largest mode) tell the two apart.

All arithmetic is in float64 and never leaves the K×K Gram matrices, whatever the dimension of the vectors: rounding
stays near 1e-15, far below the decimals that scores are kept to, so that ranks don't depend on the machine. The paper's
released code rounds unit vectors and their products to float32, so its anisotropy is off by up to 1e-7 / D.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# Rows whose Gram matrices are held at once, per thread: 2 MB for K = 5. With fewer, threads spend their time handing
# Python's interpreter lock to each other.
BLOCK_ROWS = 8192
CACHE_BYTES = 2**20  # vectors are converted to float64 in pieces of this size, which stay in a core's own cache
JACOBI_LIMIT = 7  # below this size, rotating all rows' matrices at once beats LAPACK one by one
MOST_ROWS_NEED, MOST_SWEEPS = 4, 16  # sweeps: cyclic Jacobi converges quadratically, a few rows need more than others
SMALLEST = 1e-300  # keeps 0 / 0 out of a rotation that has nothing to do
NORM_EPSILON = 1e-12  # added to norms by the released code, so that a zero vector stays zero


@dataclass(frozen=True)
class Divergence:
    """Spread of the answers of N instructions; every array has N rows.

    A row with a NaN or an infinity has ``valid`` false, NaN in the float arrays and 0 ``modes``.
    """

    dispersion: Floats
    anisotropy: Floats
    effective_rank: Floats
    """Participation ratio (Σλ)² / Σλ² of the eigenvalues: 1 on a line, K-1 for isotropic spread, 0 without spread."""
    modes: NDArray[np.int32]
    """Clusters of the answers under single linkage at ``mode_distance``."""
    largest_mode_share: Floats
    """Share of the K answers that lie in the largest cluster."""
    eigenvalues: Floats
    """(N, K): λ1 ≥ … ≥ λK ≥ 0, the last of them 0."""
    mode_sizes: NDArray[np.int32]
    """(N, K): answers in each cluster, the largest first, then zeros."""
    cosines: Floats
    """(N, K, K): products of the unit vectors, from which `gram_divergence` gives the figures of some of the answers."""
    valid: NDArray[np.bool_]

    def rounded(self, decimals: int) -> "Divergence":
        """The same with float arrays rounded: what is stored and ranked, so that float noise can't decide a rank."""
        floats = ("dispersion", "anisotropy", "effective_rank", "largest_mode_share", "eigenvalues", "cosines")
        return replace(self, **{name: getattr(self, name).round(decimals) for name in floats})


def answer_divergence(
    answers: ArrayLike,
    *,
    noise_floor: float = 1e-9,
    mode_distance: float = 0.3,
    threads: int | None = None,
) -> Divergence:
    """Dispersion, anisotropy and diagnostics of each row's K answer vectors.

    Args:
        answers: (N, K, d), any float type, K ≥ 2. Vectors need not be normalised; a zero vector stays one and counts
            as an answer.
        noise_floor: a dispersion below this is rounding of equal answers: dispersion, anisotropy and effective rank
            are then exactly 0.
        mode_distance: answers nearer than this (Euclidean, between unit vectors) belong to one mode.
        threads: threads to use; as many as there are cores if None. The result doesn't depend on it.

    Nothing is rounded (see `Divergence.rounded`). Memory beyond the input and the result is a few MB per thread.

    Raises:
        ValueError: the array isn't three-dimensional or has fewer than two answers a row.
    """
    vectors = np.asarray(answers)
    if vectors.ndim != 3 or vectors.shape[1] < 2:
        raise ValueError(f"answers must have shape (N, K, d) with K of at least 2, not {vectors.shape}")
    return _divergence(vectors, lambda block: _cosines(vectors[block]), noise_floor, mode_distance, threads)


def gram_divergence(
    cosines: ArrayLike, *, noise_floor: float = 1e-9, mode_distance: float = 0.3, threads: int | None = None
) -> Divergence:
    """The same from the (N, K, K) products of unit vectors: of the first k answers, or of all but one, without vectors."""
    grams = np.asarray(cosines, dtype=np.float64)
    if grams.ndim != 3 or grams.shape[1] != grams.shape[2] or grams.shape[1] < 2:
        raise ValueError(f"cosines must have shape (N, K, K) with K of at least 2, not {grams.shape}")
    return _divergence(
        grams, lambda block: np.ascontiguousarray(grams[block].transpose(1, 2, 0)), noise_floor, mode_distance, threads
    )


def _divergence(
    rows_of: NDArray[np.generic],
    cosines_of: Callable[[slice], Floats],
    noise_floor: float,
    mode_distance: float,
    threads: int | None,
) -> Divergence:
    rows, k, _ = rows_of.shape
    out = Divergence(
        dispersion=np.empty(rows),
        anisotropy=np.empty(rows),
        effective_rank=np.empty(rows),
        modes=np.empty(rows, dtype=np.int32),
        largest_mode_share=np.empty(rows),
        eigenvalues=np.zeros((rows, k)),
        mode_sizes=np.empty((rows, k), dtype=np.int32),
        cosines=np.empty((rows, k, k)),
        valid=np.empty(rows, dtype=np.bool_),
    )

    def fill(block: slice) -> None:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            cosines = cosines_of(block)
            out.cosines[block] = cosines.transpose(2, 0, 1)
            out.valid[block] = np.isfinite(cosines).all(axis=(0, 1))
            spread = _spread(cosines)
            total = np.trace(spread)
            none = total / k < noise_floor
            eigenvalues = np.where(none, 0.0, _eigenvalues(spread))
            out.eigenvalues[block, : k - 1] = eigenvalues.T
            out.dispersion[block] = np.where(none, 0.0, np.clip(total / k, 0.0, 1.0))
            out.effective_rank[block] = np.where(none, 0.0, total**2 / (spread**2).sum(axis=(0, 1)))
            anisotropy = 1.0 - eigenvalues[0] / total
            out.anisotropy[block] = np.where(none, 0.0, np.clip(anisotropy, 0.0, 1.0 - 1.0 / (k - 1)))
            sizes = _mode_sizes(cosines, mode_distance)
            out.mode_sizes[block] = sizes.T
            out.modes[block], out.largest_mode_share[block] = (sizes > 0).sum(axis=0), sizes[0] / k

    blocks = list(_blocks(rows))
    threads = min(threads or os.cpu_count() or 1, len(blocks))
    if threads <= 1:
        for block in blocks:
            fill(block)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, blocks))

    broken = ~out.valid
    for array in (
        out.dispersion,
        out.anisotropy,
        out.effective_rank,
        out.largest_mode_share,
        out.eigenvalues,
        out.cosines,
    ):
        array[broken] = np.nan
    out.modes[broken] = 0
    out.mode_sizes[broken] = 0
    return out


def adg_score(dispersion: ArrayLike, anisotropy: ArrayLike, weight: float = 0.4) -> Floats:
    """The paper's score ``(1 - weight) D + weight I``: the higher, the more the answers diverge. NaN stays NaN."""
    return (1.0 - weight) * np.asarray(dispersion, np.float64) + weight * np.asarray(anisotropy, np.float64)


def _blocks(rows: int) -> Iterator[slice]:
    for start in range(0, rows, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, rows))


def _cosines(vectors: NDArray[np.generic]) -> Floats:
    """Gram matrices of each row's vectors at unit length: (n, K, d) → (K, K, n), so that what follows runs along n."""
    n, k, d = vectors.shape
    gram = np.empty((n, k, k))
    piece = max(1, CACHE_BYTES // (8 * k * max(d, 1)))
    buffer = np.empty((piece, k, d))
    for start in range(0, n, piece):
        stop = min(start + piece, n)
        part = buffer[: stop - start]
        part[...] = vectors[start:stop]
        # All pairs are among those of the first K-1 vectors with the last K-1. For the product of an array with its own
        # transpose numpy would call syrk, which for matrices this small takes four times as long as gemm.
        np.matmul(part[:, :-1], part[:, 1:].swapaxes(1, 2), out=gram[start:stop, :-1, 1:])
        ends = part[:, :: k - 1]
        gram[start:stop, [0, -1], [0, -1]] = np.vecdot(ends, ends)
    cosines = np.ascontiguousarray(gram.transpose(1, 2, 0))
    cosines[1:, 0] = cosines[0, 1:]
    cosines[-1, 1:-1] = cosines[1:-1, -1]
    norms = np.sqrt(np.einsum("iin->in", cosines)) + NORM_EPSILON
    cosines /= norms[:, None]
    cosines /= norms[None, :]
    return cosines


def _spread(cosines: Floats) -> Floats:
    """Centred Gram matrices (K-1, K-1, n) of cosines (K, K, n)."""
    contrasts = _contrasts(len(cosines))
    return np.tensordot(contrasts, np.tensordot(contrasts, cosines, (1, 0)), (1, 1))


def _contrasts(k: int) -> Floats:
    """Helmert's (K-1, K) orthonormal rows, orthogonal to the mean: they centre and drop the eigenvalue 0."""
    rows = np.tril(np.ones((k, k)), -1)[1:] - np.diag(np.arange(k))[1:]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _eigenvalues(matrices: Floats) -> Floats:
    """Eigenvalues (m, n) of n symmetric positive matrices (m, m, n), the largest first."""
    m = len(matrices)
    found: Floats = np.full((m, matrices.shape[2]), np.nan)
    if m >= JACOBI_LIMIT:
        finite = np.isfinite(matrices).all(axis=(0, 1))
        found[:, finite] = np.linalg.eigvalsh(matrices[:, :, finite].transpose(2, 0, 1)).T[::-1]
        return found.clip(0.0)
    pairs = list(combinations(range(m), 2))
    entries = {(p, q): matrices[p, q].copy() for p in range(m) for q in range(p, m)}
    # By Weyl's theorem no eigenvalue is off by more than what is left beside the diagonal.
    negligible = 1e-12 * np.trace(matrices)
    rows = np.arange(matrices.shape[2])
    for sweep in range(1, MOST_SWEEPS + 1):
        for p, q in pairs:
            _rotate(entries, m, p, q)
        if sweep < MOST_ROWS_NEED:
            continue
        found[:, rows] = [entries[p, p] for p in range(m)]
        left = np.any([np.abs(entries[pair]) > negligible for pair in pairs], axis=0)
        if not left.any():
            break
        rows, negligible = rows[left], negligible[left]
        entries = {place: values[left] for place, values in entries.items()}
    return -np.sort(-found, axis=0).clip(max=0.0)


def _rotate(entries: dict[tuple[int, int], Floats], m: int, p: int, q: int) -> None:
    """One Jacobi rotation of n matrices, held as upper triangles of (n,) arrays: entry (p, q) becomes 0.

    Golub & Van Loan, Matrix Computations, 8.5. In place, since this is where most of the arithmetic is.
    """
    entry = entries[p, q]
    gap = entries[q, q] - entries[p, p]
    denominator = gap * gap
    denominator += 4.0 * entry * entry
    np.sqrt(denominator, out=denominator)
    denominator += np.abs(gap)
    denominator += SMALLEST
    tangent = np.copysign(2.0, gap)
    tangent *= entry
    tangent /= denominator
    cosine = 1.0 / np.sqrt(tangent * tangent + 1.0)
    sine = tangent * cosine
    tangent *= entry
    entries[p, p] -= tangent
    entries[q, q] += tangent
    entry[:] = 0.0
    for r in range(m):
        if r not in (p, q):
            at_p, at_q = entries[min(r, p), max(r, p)], entries[min(r, q), max(r, q)]
            turned = cosine * at_p
            turned -= sine * at_q
            at_q *= cosine
            at_q += sine * at_p
            at_p[:] = turned


def _mode_sizes(cosines: Floats, mode_distance: float) -> NDArray[np.int32]:
    """(K, n): sizes of each row's single-linkage clusters of answers, the largest first, then zeros."""
    k = len(cosines)
    squares = np.einsum("iin->in", cosines)
    linked = squares[:, None] + squares[None, :] - 2.0 * cosines < mode_distance**2
    linked |= np.eye(k, dtype=np.bool_)[:, :, None]
    for via in range(k):  # Warshall's transitive closure
        linked |= linked[:, via, None] & linked[None, via]
    first = np.stack([~linked[i, :i].any(axis=0) for i in range(k)])  # i is the first of its cluster
    sizes: NDArray[np.int32] = -np.sort(-linked.sum(axis=1, dtype=np.int32) * first, axis=0)
    return sizes
