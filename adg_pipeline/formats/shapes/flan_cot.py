r"""FLAN chain of thought: question, answer, rationale; as TSV without a header, line breaks written ``\n``.

The output is the rationale, then the answer on a line of its own, in the words of FLAN's own template::

    Weng earns 12 / 60 = $0.2 per minute. Working 50 minutes, she earned 0.2 x 50 = $10.
    The answer is 10.
"""

from collections.abc import Set

from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import Record, as_text, first_field
from adg_pipeline.formats.shapes.draft import Draft, context_of, single

EXPECTED = "TSV of question, answer and rationale without a header, or records with these keys"
COLUMNS = ("question", "answer", "rationale")


def matches(keys: Set[str]) -> bool:
    return keys >= set(COLUMNS)


def drafts(record: Record) -> list[Draft]:
    question = first_field(record, ("question",))
    answer = first_field(record, ("answer",)).strip()
    rationale = as_text(record.get("rationale"), "rationale").strip()
    if not answer:
        raise Unusable("empty output", "no answer")
    conclusion = f"The answer is {answer.removesuffix('.')}."
    output = f"{rationale}\n{conclusion}" if rationale else conclusion
    return [single(record, question, context_of(record), output)]


def read_line(line: str) -> dict[str, str]:
    """The record of one TSV line."""
    columns = line.split("\t")
    if len(columns) != len(COLUMNS):
        raise Unusable("wrong columns", f"{len(columns)} columns, not question, answer and rationale")
    return dict(zip(COLUMNS, (column.replace("\\n", "\n") for column in columns), strict=True))
