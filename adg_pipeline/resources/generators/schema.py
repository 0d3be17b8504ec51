"""The table that generation writes: one row per instruction, in the order of the raw pool table."""

from typing import Final

import pyarrow as pa

OK: Final = "ok"
PROMPT_TOO_LONG: Final = "prompt_too_long"
FAILED: Final = "failed"


def _list(value: pa.DataType) -> pa.ListType:
    return pa.list_(pa.field("element", value))


# With status ok the lists hold K entries, one per sample; with prompt_too_long none; a failed row keeps what was had.
# `prompt_tokens` and an entry of `output_tokens` are null where the engine doesn't tell. `output_tokens` counts the end
# token, which is paid like any other. `output_logprobs` are means over these tokens, under the backbone itself; tables
# of before this column was there lack it.
# Lists name their field "element", as Parquet stores it: what is read back then equals this schema.
GENERATIONS_SCHEMA: Final = pa.schema(
    [
        pa.field("example_id", pa.string()),
        pa.field("status", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("prompt_tokens", pa.int32()),
        pa.field("answers", _list(pa.string())),
        pa.field("finish_reasons", _list(pa.string())),
        pa.field("output_tokens", _list(pa.int32())),
        pa.field("output_logprobs", _list(pa.float64())),
        pa.field("seeds", _list(pa.int64())),
        pa.field("request_ids", _list(pa.string())),
    ]
)
