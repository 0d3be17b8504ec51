"""Figures that others published, to be shown beside one's own and never mixed with them.

Averages of six benchmarks, 10,000 examples selected, from the paper's project page ("Instruction Data Selection via Answer
Divergence", arXiv 2604.10448): one training each, no seeds and no intervals.
"""

COLUMNS = tuple(
    f"{backbone}, {pool}" for backbone in ("LLaMA3-8B", "Qwen2.5-7B") for pool in ("Alpaca-GPT4", "WizardLM", "CoT")
)
AVERAGES: dict[str, tuple[float, ...]] = {
    "all data": (47.15, 49.55, 40.22, 64.02, 63.30, 59.42),
    "random": (46.06, 48.03, 38.65, 66.76, 64.74, 60.13),
    "ifd": (48.92, 50.19, 44.30, 67.24, 64.13, 61.84),
    "superfiltering": (49.39, 50.35, 44.03, 68.05, 65.57, 61.17),
    "zip": (46.73, 45.94, 42.87, 67.90, 64.53, 60.73),
    "mig": (46.73, 48.00, 42.54, 67.59, 66.35, 61.05),
    "scar": (47.99, 44.29, 39.53, 67.10, 65.15, 59.95),
    "adg": (50.85, 51.73, 45.11, 69.06, 67.64, 62.71),
}
# What is known of their spread.
SPREAD = (
    "No seeds and no intervals were published with these figures.",
    "The same page gives LLaMA3-8B on Alpaca-GPT4 twice: 50.85 and 54.04 for adg, 46.06 and 50.21 for random. Two figures "
    "for one setting differ by 3 to 4 points, as much as adg is ahead of random.",
    "Over budgets of 3,000, 5,000, 10,000, 20,000 and 25,000 it gives 52.89, 52.69, 54.04, 51.62 and 54.00 for adg: no trend "
    "larger than that.",
    "An independent comparison (other pool, LoRA, five benchmarks, one training a cell) finds adg ahead of random by +0.7 "
    "and +0.5 with Mistral-7B and by +0.7 and −1.5 with Qwen2.5-7B, for 5,000 and 10,000 examples.",
)
