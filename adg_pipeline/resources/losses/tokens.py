"""How many tokens examples have, without any model: by the tokenizer and the template of the backbone alone."""

import pyarrow as pa

from adg_pipeline.models.templates import PromptTemplate
from adg_pipeline.resources.losses.examples import tokenized

BLOCK = 1000  # examples that are held as text and tokens at a time
TOKEN_COUNTS_SCHEMA = pa.schema(
    [("example_id", pa.string()), ("prompt_tokens", pa.int32()), ("reference_tokens", pa.int32())]
)


def count_tokens(examples: pa.Table, template: PromptTemplate) -> pa.Table:
    """A table of `TOKEN_COUNTS_SCHEMA`, in the order of ``examples``, a raw pool table; null where the template refuses one.

    A prompt is what comes before the last answer of a conversation, a reference has its end token: their sum is what a
    training reads of an example.
    """
    parts = [TOKEN_COUNTS_SCHEMA.empty_table()]
    for start in range(0, examples.num_rows, BLOCK):
        rows = tokenized(examples.slice(start, BLOCK).to_pylist(), template)
        counts = [
            {
                "example_id": one.row["example_id"],
                "prompt_tokens": len(one.prompt) if one.reference else None,
                "reference_tokens": len(one.reference) or None,
            }
            for one in rows
        ]
        parts.append(pa.Table.from_pylist(counts, schema=TOKEN_COUNTS_SCHEMA))
    return pa.concat_tables(parts)
