"""Arms in rows, for `adg arms`."""

from typing import Any

from adg_pipeline.algorithms.arms import arms
from adg_pipeline.algorithms.selectors import SELECTORS
from adg_pipeline.lineage.in_force import reads_references, settings_in_force
from adg_pipeline.settings.loading import load_file
from adg_pipeline.store import Store


def described_arms(store: Store) -> list[dict[str, Any]]:
    """Of each arm: arm, about, of (built-in or adg.yaml), differs (setting → value), reads, reference_losses and queries
    (whether it needs them), needs (settings without which it can't be made), source. Raises SettingsError where adg.yaml is
    at fault."""
    settings_in_force(store)  # refuses an arm that can't be
    of_user = load_file()[0].arms
    rows = []
    for name, arm in arms(of_user).items():
        config = settings_in_force(store, name).settings.selected_subset
        chooses = SELECTORS[config.selector]
        vectors = {
            "instruction vectors": chooses.vectors,
            "bin centroids": chooses.centroids,
            "likeness to the queries": chooses.likeness,
        }
        rows.append(
            {
                "arm": name,
                "about": arm.about,
                "of": "adg.yaml" if name in of_user else "built-in",
                "differs": dict(arm.settings),
                "reads": [*chooses.reads(config), *(what for what, read in vectors.items() if read)],
                "reference_losses": reads_references(config),
                "queries": chooses.queries,
                "needs": list(chooses.needs),
                "source": chooses.source,
            }
        )
    return rows
