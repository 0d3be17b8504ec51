"""Progress lines tell the rate since the work began, from the first line on."""

import pytest

from adg_pipeline.progress import ProgressLog


def test_the_first_line_has_the_rate_of_what_came_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    lines: list[str] = []
    progress = ProgressLog(lines.append, "embedding", "instructions")
    now = 128.0  # one batch takes longer than lines are apart
    progress(512, 2048)
    assert lines == ["embedding: 512 of 2,048 instructions (25%), 18.3/s, 84 s left"]
