"""Records to canonical examples: what every example has to satisfy, whatever its shape."""

from collections.abc import Iterator
from pathlib import Path

from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import Notes, as_record, own_id, own_source
from adg_pipeline.formats.ids import example_id
from adg_pipeline.formats.layout import Layout
from adg_pipeline.formats.rows import Row, read_rows
from adg_pipeline.formats.schema import Example, Rejection, canonical_content, content_hash
from adg_pipeline.formats.shapes import SHAPES
from adg_pipeline.formats.shapes.draft import Draft, asked_turns
from adg_pipeline.formats.shapes.marks import refuse_marked
from adg_pipeline.formats.shapes.plain import plain_draft
from adg_pipeline.progress import Progress
from adg_pipeline.settings.sections import IdScope


def read_examples(
    path: Path,
    layout: Layout,
    source: str,
    limit: int,
    progress: Progress | None = None,
    notes: Notes | None = None,
) -> Iterator[Example | Rejection]:
    """An example or a rejection for each record, in the file's order; for each instance of a self-instruct seed.

    source: the name for records that don't name their own. limit: most bytes of one record. notes: gets the keys that
    weren't used and the templates that were taken off. Repeats are not looked for.
    """
    notes = notes or Notes()
    may_be_plain = layout.format == "alpaca" and not layout.columns
    for row in read_rows(path, layout.container, limit, progress, notes, layout.columns):
        plain = plain_draft(row.text) if may_be_plain and row.known is None and row.text else None
        results = (
            (_checked(plain, row.number, None, source, limit, layout.ids),)
            if plain
            else _examples(row, layout, source, limit, notes)
        )
        for result in results:
            yield row.rejected(result) if isinstance(result, Unusable) else result


def _examples(row: Row, layout: Layout, source: str, limit: int, notes: Notes) -> Iterator[Example | Unusable]:
    value = row.value()
    if isinstance(value, Unusable):
        yield value
        return
    try:
        record = as_record(value, layout.columns)
        identity, source = own_id(record), own_source(record) or source
        refuse_marked(record)
        accepted = False
        for draft in SHAPES[layout.format].drafts(record):
            if isinstance(draft, Unusable):
                yield draft
                continue
            for asked in asked_turns(draft, layout.asked_turn):
                result = _checked(asked, row.number, identity, source, limit, layout.ids)
                accepted = accepted or isinstance(result, Example)
                yield result
    except Unusable as fault:
        yield fault
        return
    if accepted:
        notes.unused.update(set(record.unused()))
        notes.unwrapped.update(set(record.unwrapped))


def _checked(
    draft: Draft, number: int, identity: str | None, source: str, limit: int, ids: IdScope
) -> Example | Unusable:
    if not draft.instruction.strip() and not draft.input.strip():
        return Unusable("empty instruction")
    if not draft.output.strip():
        return Unusable("empty output")
    try:
        content = canonical_content(draft.instruction, draft.input, draft.output, draft.messages, draft.tools)
        names = f"{identity or ''}{source}".encode()
    except UnicodeEncodeError:
        return Unusable("lone surrogate", "half of a surrogate pair is no character, and UTF-8 can't hold it")
    # Tokenizers and Parquet would take it, but PostgreSQL and C libraries end text there, and it is never meant.
    if (rb"\u0000" in content and any("\0" in text for text in _texts(draft))) or b"\0" in names:
        return Unusable("NUL character", "usually UTF-16 read as bytes, or binary data")
    if len(content) > limit:
        return Unusable("too large", f"{len(content):,} bytes, more than max_record_mib allows ({limit:,})")
    digest = content_hash(content)
    return Example(
        example_id=example_id(identity and identity + draft.id_suffix, digest, ids),
        source=source,
        instruction=draft.instruction,
        input=draft.input,
        output=draft.output,
        messages=draft.messages,
        tools=draft.tools,
        content_hash=digest,
        row=number,
    )


def _texts(draft: Draft) -> Iterator[str]:
    yield from (draft.instruction, draft.input, draft.output, draft.tools)
    for turn in draft.messages or ():
        yield from (turn.content, turn.reasoning, turn.tool_calls, turn.tool_name, turn.tool_call_id)
