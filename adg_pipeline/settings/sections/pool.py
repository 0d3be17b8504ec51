"""Reading the pool."""

from typing import Literal

from pydantic import Field, field_validator

from adg_pipeline.settings.sections.base import Section

PoolFormat = Literal[
    "auto", "alpaca", "messages", "sharegpt", "prompt_completion", "preference", "tree", "self_instruct", "flan_cot",
    "canonical",
]  # fmt: skip
IdScope = Literal["auto", "global", "local"]
AskedTurn = Literal["last", "first", "every"]

# What `raw_pool.columns` may give a key's meaning: the names that the shapes know these fields by.
MAPPABLE = (
    "id", "source", "instruction", "input", "output", "system", "history", "messages", "tools", "reasoning", "chosen",
    "rejected", "label",
)  # fmt: skip


class RawPoolConfig(Section):
    """How a pool file is read into the canonical schema."""

    RECIPE = ("format", "max_record_mib")
    RECIPE_IF_SET = ("columns", "ids", "asked_turn")

    format: PoolFormat = Field(
        default="auto", description="Format of the pool files; auto detects it from their content."
    )
    ids: IdScope = Field(
        default="auto",
        description="Whether the files' own ids are unique beyond their file. Those that aren't (local) are told apart by "
        "content; auto takes numbers for local and all others for global.",
    )
    asked_turn: AskedTurn = Field(
        default="last",
        description="Which answer of a conversation is the reference: the last; the first, what comes after it being left "
        "off; or every one, each an example of its own with what led to it.",
    )
    max_record_mib: float = Field(
        default=16.0, gt=0, le=1024, description="A record larger than this (MiB of text) is rejected with its place."
    )
    columns: dict[str, str] = Field(
        default={},
        description="Keys of the pool files by what they mean, for files with names that aren't known: "
        "`{instruction: question_text, output: best}`. May be mapped: " + ", ".join(MAPPABLE) + ".",
    )

    @field_validator("columns")
    @classmethod
    def columns_have_a_meaning(cls, columns: dict[str, str]) -> dict[str, str]:
        unknown = [name for name in columns if name not in MAPPABLE]
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is no field of an example; may be mapped: {', '.join(MAPPABLE)}")
        blank = [name for name, key in columns.items() if not key.strip()]
        if blank:
            raise ValueError(f"{', '.join(blank)} is mapped to no key: name the key of the pool files")
        return columns
