"""Pictures for the UI, as Markdown images that carry their own bytes.

They are small on purpose: Dagster keeps metadata in its event log. matplotlib is loaded when a picture is drawn.
"""

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from dagster import MetadataValue
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Points drawn at most; more would only make the picture heavier.
MOST_POINTS = 4000
POOL_COLOUR, CHOSEN_COLOUR = "#b8c0cc", "#d1495b"


def score_histogram(scores: NDArray[np.float64], title: str, chosen: NDArray[np.bool_] | None = None) -> MetadataValue:
    """Histogram of (N,) scores, the chosen ones marked where given."""
    figure, axes = _figure()
    edges = np.histogram_bin_edges(scores, bins=40).tolist()
    axes.hist(scores, bins=edges, color=POOL_COLOUR, label="pool", histtype="stepfilled")
    if chosen is not None:
        axes.hist(scores[chosen], bins=edges, color=CHOSEN_COLOUR, label="selected", histtype="stepfilled")
        axes.legend(frameon=False)
    axes.set(xlabel="score", ylabel="examples", title=title)
    return _markdown(figure, title)


def quadrants(
    dispersion: NDArray[np.float64], anisotropy: NDArray[np.float64], chosen: NDArray[np.bool_] | None, title: str
) -> MetadataValue:
    """Scatter of (N,) dispersion against anisotropy, cut into quadrants at the medians, the chosen ones marked."""
    figure, axes = _figure()
    shown = np.linspace(0, len(dispersion) - 1, min(len(dispersion), MOST_POINTS)).astype(int)
    marked = np.zeros(len(dispersion), bool) if chosen is None else chosen
    for mask, colour, label in ((~marked, POOL_COLOUR, "pool"), (marked, CHOSEN_COLOUR, "selected")):
        rows = shown[mask[shown]]
        if len(rows):
            axes.scatter(dispersion[rows], anisotropy[rows], s=12, c=colour, label=label, linewidths=0, alpha=0.7)
    if len(dispersion):
        axes.axvline(float(np.median(dispersion)), color="#555", lw=0.8, ls="--")
        axes.axhline(float(np.median(anisotropy)), color="#555", lw=0.8, ls="--")
        axes.legend(frameon=False, loc="lower right")
    axes.set(xlabel="dispersion D", ylabel="anisotropy I", title=title)
    return _markdown(figure, title)


def quota_bars(sizes: Sequence[int], quotas: Sequence[int], title: str) -> MetadataValue:
    """Sizes and quotas of bins, largest bin first; many bins are drawn as lines."""
    figure, axes = _figure()
    order = np.argsort(sizes)[::-1]
    places = np.arange(len(order))
    axes.fill_between(places, np.asarray(sizes)[order], step="mid", color=POOL_COLOUR, label="examples in the bin")
    axes.fill_between(places, np.asarray(quotas)[order], step="mid", color=CHOSEN_COLOUR, label="quota")
    axes.set(xlabel="bins, largest first", ylabel="examples", title=title)
    axes.legend(frameon=False)
    return _markdown(figure, title)


def loss_curve(steps: Sequence[float], losses: Sequence[float], title: str) -> MetadataValue:
    """Training loss over steps."""
    figure, axes = _figure()
    axes.plot(steps, losses, color=CHOSEN_COLOUR, lw=1.5)
    axes.set(xlabel="step", ylabel="loss", title=title)
    axes.set_ylim(bottom=0)
    return _markdown(figure, title)


def _figure() -> "tuple[Figure, Axes]":
    # Figure without pyplot: no window system is looked for, and nothing is kept after the picture is written.
    from matplotlib.figure import Figure

    # Fixed margins with room for six digits: a layout engine draws every picture twice and takes as long again to measure.
    figure = Figure(figsize=(5.2, 3.2), dpi=80)
    axes = figure.add_axes((0.16, 0.16, 0.81, 0.73))
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _markdown(figure: "Figure", title: str) -> MetadataValue:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return MetadataValue.md(f"![{title}](data:image/png;base64,{encoded})")
