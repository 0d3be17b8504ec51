"""Draws the pictures of docs/comparison.md from the report of a comparison, at a desk's and a phone's width:

python docs/make_report_pictures.py .runs/embedded/data/reports/embedded/index.html [--name comparison]
"""

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).with_name("pictures")
# Sections by the id of their heading: each picture goes from one heading to the next but those named.
DESK = {"": "composition", "composition": "overlap", "overlap": "funnel", "funnel": "published"}
CURVE = ("budgets", "composition")


def top(page: Page, section: str) -> int:
    """Where a section begins, in pixels from the top of the page."""
    return int(page.evaluate("name => name ? document.getElementById(name).getBoundingClientRect().top : 0", section))


def draw(page: Page, first: str, after: str, path: Path) -> None:
    begins, ends = top(page, first), top(page, after)
    clip = {"x": 0, "y": begins, "width": page.viewport_size["width"], "height": ends - begins}  # type: ignore[index]
    page.screenshot(path=str(path), full_page=True, clip=clip)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--name", default="comparison", help="what the pictures' names begin with")
    parser.add_argument("--curve", action="store_true", help="only the curve over budgets")
    asked = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        desk = browser.new_page(viewport={"width": 1280, "height": 900})
        desk.goto(asked.report.resolve().as_uri())
        if asked.curve:
            draw(desk, *CURVE, PICTURES / f"{asked.name}.png")
        else:
            for number, (first, after) in enumerate(DESK.items(), start=1):
                draw(desk, first, after, PICTURES / f"{asked.name}-{number}.png")
            phone = browser.new_page(viewport={"width": 390, "height": 844})
            phone.goto(asked.report.resolve().as_uri())
            draw(phone, "", "figures", PICTURES / f"{asked.name}-phone.png")
        browser.close()


if __name__ == "__main__":
    main()
