"""Figures as people read them: shares in per cent, differences in points, p-values."""

SURE = 0.05


def percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def points(difference: float | None) -> str:
    """A difference in percentage points, always with its sign."""
    return "–" if difference is None else f"{100 * difference:+.1f}".replace("-", "−")


def between(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """An interval; empty where there is none."""
    if low is None or high is None:
        return ""
    return f"{points(low)} to {points(high)}" if signed else f"{percent(max(low, 0.0))}–{percent(min(high, 1.0))}"


def p_value(p: float | None) -> str:
    if p is None:
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def state(difference: float | None, p: float | None) -> str:
    """better, worse, or not told apart."""
    if difference is None or p is None or p >= SURE:
        return "not told apart"
    return "better" if difference > 0 else "worse"


def count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def seconds(spent: float | None) -> str:
    if spent is None:
        return "not recorded"
    if spent < 0.5:
        return "under 1 s"
    if spent < 90:
        return f"{spent:.0f} s"
    return f"{spent / 60:.0f} min" if spent < 5400 else f"{spent / 3600:.1f} h"


def shortened(text: str, longest: int = 500) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
