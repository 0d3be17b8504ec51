"""Alpaca's plain records, which most pools consist of: texts under instruction, input and output, and nothing else.

What the other modules make of such a record is known beforehand, so it is read without them, in a fraction of the time. The
decoder is strict, which is what makes that safe: it refuses any other key, any value but text (null for an input), of a key
that stands twice each of them, and whatever `json` refuses. What it refuses goes the general way.
"""

import msgspec

from adg_pipeline.formats.shapes.draft import Draft
from adg_pipeline.formats.shapes.templates import wears_marks


class _Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    instruction: str
    output: str
    input: str | None = None


_decode = msgspec.json.Decoder(_Plain).decode


def plain_draft(data: bytes) -> Draft | None:
    """What `alpaca` makes of the record; None if the record is not plain. data: one JSON value."""
    try:
        record = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if wears_marks(record.instruction):
        return None
    return Draft(record.instruction, record.input or "", record.output)
