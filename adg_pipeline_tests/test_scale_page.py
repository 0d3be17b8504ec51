"""docs/scale.md reckons with the unit costs that it and the pages it cites give."""

import re
from math import ceil
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = (DOCS / "scale.md").read_text("utf-8")
SIZES = re.findall(
    r"^\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d.,]+) \| (.+?) \| (.+?) \| (.+?) \| ([\d.]+ [GT]B) \|$",
    PAGE,
    re.MULTILINE,
)
SECONDS = {"min": 60, "h": 3600, "days": 86400}
BYTES = {"GB": 1e9, "TB": 1e12}


def number(text: str) -> float:
    return float(text.replace(",", ""))


def unit_costs() -> tuple[float, float]:
    """Examples a second on one GPU, and bytes of vectors for each example."""
    four, one = re.findall(r"([\d.]+) examples/s on 4 GPUs, so ([\d.]+) examples/s on one", PAGE)[0]
    assert float(one) == float(four) / 4
    vectors, dimensions, size, product = re.findall(r"(\d+) × ([\d,]+) × (\d) bytes = ([\d,]+) bytes for each", PAGE)[0]
    assert number(vectors) * number(dimensions) * number(size) == number(product)
    return float(one), number(product)


def test_three_sizes_are_reckoned() -> None:
    assert [row[0] for row in SIZES] == ["52,002", "10,000,000", "100,000,000"]


def rounding(figure: str) -> float:
    """How far a figure may be off, having as many digits after the point as it has."""
    return 0.51 * 10 ** -len(figure.partition(".")[2])


@pytest.mark.parametrize("row", SIZES, ids=lambda row: row[0])
def test_times_hours_and_disk_follow_from_the_unit_costs(row: tuple[str, ...]) -> None:
    rate, bytes_each = unit_costs()
    examples, rows, shards = (number(text) for text in row[:3])
    assert shards == ceil(examples / rows)
    assert number(row[3]) == pytest.approx(examples / rate / 3600, abs=rounding(row[3]))
    for gpus, text in zip((1, 8, 64), row[4:7], strict=True):
        figure, unit = text.split()
        seconds = ceil(shards / gpus) * rows / rate
        assert float(figure) == pytest.approx(seconds / SECONDS[unit], abs=rounding(figure)), text
    figure, unit = row[7].split()
    assert float(figure) == pytest.approx(examples * bytes_each / BYTES[unit], abs=rounding(figure))


def test_figures_quoted_of_the_page_about_speed_stand_there() -> None:
    speed = (DOCS / "speed.md").read_text("utf-8")
    assert "; 23.4 examples/s." in speed
    assert "| scores | 33,015 examples/s |" in speed
    assert "200,000 records, 104 MB, 2 processes, in 1.3 s" in speed
    assert "| select, budget 10,000 | 6.91 s |" in speed
    assert "| a shard's vectors, read | 1,864,842 rows/s |" in speed


def test_what_one_machine_does_alone_follows_from_them_too() -> None:
    bytes_a_second = 1_864_842 * 384 * 4
    assert f"{bytes_a_second / 1e6:,.0f} MB/s" in PAGE
    for examples, told in ((10e6, "0.95 min for 10 million"), (100e6, "9.5 min for 100 million")):
        assert examples * 4096 * 4 / bytes_a_second / 60 == pytest.approx(float(told.split()[0]), rel=0.01)
        assert told in PAGE
    assert pytest.approx(11, abs=0.5) == 100e6 / (200_000 / 1.3) / 60
    assert "100 million plain Alpaca records takes 11 min" in PAGE
