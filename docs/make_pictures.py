"""Takes the pictures of docs/pictures from the demo's pool, in Dagster's UI, with Debian's Chromium.

    adg demo --dir /tmp/adg-demo && python docs/make_pictures.py /tmp/adg-demo

Look at every one before it is committed. Needs the development packages and Chromium (apt-get install chromium).
"""

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Locator, Page, expect, sync_playwright  # noqa: E402

from adg_pipeline.demo.run import SETTINGS  # noqa: E402
from adg_pipeline_tests.dagster_dev import DagsterDev, dagster_dev  # noqa: E402

TARGET = ROOT / "docs" / "pictures"
# The browser must not call home.
BROWSER = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Small enough that its letters are read when a page of documentation shows it at its width.
SIZE = {"width": 1180, "height": 760}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder of a demo that has run")
    parser.add_argument("--to", type=Path, default=TARGET, help="folder of the pictures (default: docs/pictures)")
    arguments = parser.parse_args()
    demo = arguments.demo.resolve()
    if not (demo / "data" / "selections" / "adg").is_dir():
        parser.error(f"{demo} holds no demo: run `adg demo --dir {demo}` first")
    arguments.to.mkdir(parents=True, exist_ok=True)
    shutil.copy(demo / "report.png", arguments.to / "demo.png")
    environment = {
        "ADG_DATA_DIR": str(demo / "data"),
        "ADG_CONFIG": str(SETTINGS),
        "DAGSTER_HOME": str(demo / "dagster"),
        "HF_HUB_OFFLINE": "1",
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        dagster_dev(Path(folder), environment) as dev,
        sync_playwright() as playwright,
    ):
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=BROWSER)
        context = browser.new_context(viewport=SIZE, device_scale_factor=1.5)
        context.set_default_timeout(120_000)
        expect.set_options(timeout=120_000)
        make_room(context.new_page(), dev)
        for name, take in PICTURES.items():
            page = context.new_page()
            shown = take(page, dev)
            page.wait_for_timeout(2500)  # for what is still drawn
            shown.screenshot(path=arguments.to / f"{name}.png")
            sys.stdout.write(f"{arguments.to / name}.png\n")
            page.close()
        browser.close()


def make_room(page: Page, dev: DagsterDev) -> None:
    """Hide what isn't shown: the browser remembers it for the pages that follow."""
    page.goto(f"{dev.url}/asset-groups")
    page.get_by_text("Hide navigation").click()
    page.wait_for_timeout(1000)
    page.close()


def graph(page: Page, dev: DagsterDev) -> Page:
    page.set_viewport_size({"width": 1700, "height": 1000})  # it opens at a fixed scale: what is larger is cut
    names = ("pool", "divergence", "selection", "training", "evaluation")
    groups = quote(",".join(f"global@global:{group}" for group in names))
    page.goto(f"{dev.url}/asset-groups?expanded={groups}")
    expect(page.get_by_text("selected_subset", exact=True).first).to_be_visible()
    # The list of groups beside the graph.
    page.locator("xpath=//input[contains(@placeholder, 'Jump to')]/following::button[1]").click()
    return page


def backfill(page: Page, dev: DagsterDev) -> Page:
    page.goto(f"{dev.url}/locations/adg_pipeline/jobs/shards")
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="All", exact=True).click()
    expect(dialog.get_by_text(re.compile(r"\d partitions")).first).to_be_visible()
    return page


def partition(page: Page, dev: DagsterDev, asset: str, key: str) -> Page:
    page.goto(f"{dev.url}/assets/{asset}?partition={key}&view=partitions")
    expect(page.get_by_text("Metadata", exact=True).first).to_be_visible()
    return page


def entry(page: Page, name: str) -> Locator:
    """A row of the metadata."""
    return page.get_by_role("row").filter(has=page.get_by_text(name, exact=True)).first


def quadrants(page: Page, dev: DagsterDev) -> Locator:
    entry(partition(page, dev, "selected_subset", "adg"), "quadrants").get_by_text("Show", exact=False).first.click()
    image = page.get_by_role("dialog").locator("img[src^='data:image/png']").first
    expect(image).to_be_visible()
    return image


def sample(page: Page, dev: DagsterDev, asset: str, key: str) -> Locator:
    page.set_viewport_size({**SIZE, "height": 3000})  # a table that scrolls is cut
    return entry(partition(page, dev, asset, key), "sample").locator("table").first


def how_to_train(page: Page, dev: DagsterDev) -> Page:
    page.goto(f"{dev.url}/assets/finetuned_checkpoint?view=overview")
    expect(page.get_by_text("To train").first).to_be_visible()
    return page


PICTURES: dict[str, Callable[[Page, DagsterDev], Page | Locator]] = {
    "graph": graph,
    "backfill": backfill,
    "selection": lambda page, dev: partition(page, dev, "selected_subset", "adg"),
    "quadrants": quadrants,
    "answers": lambda page, dev: sample(page, dev, "generations", "skills-01"),
    "checkpoint": how_to_train,
}

if __name__ == "__main__":
    main()
