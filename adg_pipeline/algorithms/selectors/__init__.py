"""Selectors by name: ways to choose a subset, of which arms are made by giving them settings.

To add one, write a module with a `Selector` in it and enter it here.
"""

from collections.abc import Mapping

from adg_pipeline.algorithms.selectors.adg import ADG
from adg_pipeline.algorithms.selectors.base import Candidates, Selector
from adg_pipeline.algorithms.selectors.deita import DEITA_FILTER
from adg_pipeline.algorithms.selectors.dsir import DSIR
from adg_pipeline.algorithms.selectors.given import GIVEN
from adg_pipeline.algorithms.selectors.ifd import IFD, SUPERFILTERING
from adg_pipeline.algorithms.selectors.likelihood import PERPLEXITY, REFERENCE_PROBABILITY, UPD
from adg_pipeline.algorithms.selectors.longest import LONGEST
from adg_pipeline.algorithms.selectors.mig import MIG
from adg_pipeline.algorithms.selectors.random import RANDOM, RANDOM_LENGTH_MATCHED
from adg_pipeline.algorithms.selectors.rds_plus import RDS_PLUS
from adg_pipeline.algorithms.selectors.scar import SCAR
from adg_pipeline.algorithms.selectors.spectral import EIGENSCORE, SEMANTIC_ENTROPY
from adg_pipeline.algorithms.selectors.t_shirt import T_SHIRT
from adg_pipeline.algorithms.selectors.zip import ZIP

SELECTORS: Mapping[str, Selector] = {
    "adg": ADG,
    "random": RANDOM,
    "random_length_matched": RANDOM_LENGTH_MATCHED,
    "longest": LONGEST,
    "ifd": IFD,
    "superfiltering": SUPERFILTERING,
    "perplexity": PERPLEXITY,
    "upd": UPD,
    "reference_probability": REFERENCE_PROBABILITY,
    "eigenscore": EIGENSCORE,
    "semantic_entropy": SEMANTIC_ENTROPY,
    "mig": MIG,
    "deita_filter": DEITA_FILTER,
    "zip": ZIP,
    "t_shirt": T_SHIRT,
    "dsir": DSIR,
    "rds_plus": RDS_PLUS,
    "scar": SCAR,
    "given": GIVEN,
}

__all__ = ["SELECTORS", "Candidates", "Selector"]
