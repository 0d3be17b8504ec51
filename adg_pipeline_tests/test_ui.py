"""Dagster's UI in a real browser: the graph, a backfill from the page, the pictures, a sensor switched off and on."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from adg_pipeline_tests.dagster_dev import DagsterDev, dagster_dev
from adg_pipeline_tests.workbench import Workbench, records

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"
)
NO_HURRY = 900_000  # ms: ends a test that hangs, whatever else the machine is doing
# The browser must not call home.
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*QUIET, "--disable-component-update", "--disable-sync"]
        )
        yield browser
        browser.close()


@pytest.mark.slow
def test_a_user_works_through_the_pages(bench: Workbench, tmp_path: Path, browser: Browser) -> None:
    bench.add("part-1", records(14))
    bench.add("part-2", records(14, first=14))
    # Sensors would take the files before the page does.
    bench.settings["sensors"] = {"settle_seconds": 100_000}
    bench.write_settings()
    with bench.instance() as instance:
        instance.add_dynamic_partitions("pool_shards", ["part-1", "part-2"])
    with dagster_dev(tmp_path, bench.environment()) as dev:
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        page.set_default_timeout(NO_HURRY)
        expect.set_options(timeout=NO_HURRY)
        look_at_the_graph(page, dev)
        backfill_two_shards(page, dev, bench)
        select(page, dev, bench)
        look_at_the_pictures(page, dev)
        switch_a_sensor(page, dev)


def look_at_the_graph(page: Page, dev: DagsterDev) -> None:
    groups = ("pool", "divergence", "selection", "training")
    expanded = quote(",".join(f"global@global:{group}" for group in groups))
    page.goto(f"{dev.url}/asset-groups?expanded={expanded}")
    for asset in ("raw_pool", "generations", "selected_subset"):
        expect(page.get_by_text(asset, exact=True).first).to_be_visible()


def backfill_two_shards(page: Page, dev: DagsterDev, bench: Workbench) -> None:
    page.goto(f"{dev.url}/locations/adg_pipeline/jobs/shards")
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="All", exact=True).click()
    expect(dialog.get_by_text("2 partitions").first).to_be_visible()
    dialog.get_by_role("button", name=re.compile("Launch")).last.click()
    dev.wait_for("both shards", lambda: bench.store.shards("divergence_scores") == ["part-1", "part-2"])
    dev.wait_for("the end of the backfill", lambda: all(run["status"] == "SUCCESS" for run in dev.runs()))


def select(page: Page, dev: DagsterDev, bench: Workbench) -> None:
    dev.wait_for("the subset, from the sensor", lambda: bench.store.selection_manifest("adg"))
    dev.wait_for("the end of its run", lambda: all(run["status"] == "SUCCESS" for run in dev.runs()))
    # Materialised, and not grey for arms that nobody asked for.
    query = (
        '{ assetNodes(assetKeys: [{path: ["selected_subset"]}]) { partitionStats { numPartitions numMaterialized } } }'
    )
    assert dev.query(query)["assetNodes"][0]["partitionStats"] == {"numPartitions": 1, "numMaterialized": 1}


def look_at_the_pictures(page: Page, dev: DagsterDev) -> None:
    page.goto(f"{dev.url}/assets/selected_subset?partition=adg&view=partitions")
    row = page.get_by_role("row").filter(has=page.get_by_text("quadrants", exact=True)).first
    expect(row).to_be_visible()
    row.get_by_text("Show", exact=False).first.click()
    image = page.locator("img[src^='data:image/png']").first
    expect(image).to_be_visible()
    assert image.evaluate("element => element.naturalWidth") > 100
    page.keyboard.press("Escape")


def switch_a_sensor(page: Page, dev: DagsterDev) -> None:
    page.goto(f"{dev.url}/locations/adg_pipeline/sensors/pool_growth_sensor")
    switch = page.get_by_role("row").filter(has_text=re.compile("Running|Stopped")).get_by_role("checkbox").first
    for status in ("STOPPED", "RUNNING"):
        # The page follows the server: a click before it has is lost.
        expect(switch).to_be_checked(checked=status == "STOPPED")
        expect(switch).to_be_enabled()
        switch.evaluate("box => box.click()")  # the box itself lies hidden under what is drawn for it
        dev.wait_for(f"a sensor that is {status}", lambda wanted=status: sensor_status(dev) == wanted)


def sensor_status(dev: DagsterDev) -> str:
    selector = (
        '{repositoryName: "__repository__", repositoryLocationName: "adg_pipeline", sensorName: "pool_growth_sensor"}'
    )
    query = f"{{ sensorOrError(sensorSelector: {selector}) {{ ... on Sensor {{ sensorState {{ status }} }} }} }}"
    return str(dev.query(query)["sensorOrError"]["sensorState"]["status"])
