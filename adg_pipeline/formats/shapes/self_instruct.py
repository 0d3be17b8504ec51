"""Self-instruct seeds: one instruction with a list of instances, each an example of its own."""

from collections.abc import Iterator, Set

import msgspec

from adg_pipeline.formats.errors import Unusable
from adg_pipeline.formats.fields import Record, describe, first_field
from adg_pipeline.formats.shapes.draft import Draft, answer_of, context_of, single
from adg_pipeline.formats.shapes.marks import refuse_marked

EXPECTED = "instruction and instances, a list of {input, output}"


def matches(keys: Set[str]) -> bool:
    return "instruction" in keys and "instances" in keys


def drafts(record: Record) -> Iterator[Draft | Unusable]:
    """The first instance keeps the seed's id; the others carry ``#2``, ``#3``, …, so that a longer list moves none."""
    instruction = first_field(record, ("instruction",))
    instances = record.get("instances")
    if not isinstance(instances, list) or not instances:
        raise Unusable("missing field", f"'instances' is {describe(instances)}, not a list of at least one instance")
    for place, instance in enumerate(instances):
        try:
            if not isinstance(instance, dict):
                raise Unusable("not an object", f"'instances[{place}]' is {describe(instance)}")
            part = record.part(instance, "instances[]")
            refuse_marked(part)
            draft = single(record, instruction, context_of(part), answer_of(part))
            record.close(part)
            yield msgspec.structs.replace(draft, id_suffix=f"#{place + 1}" if place else "")
        except Unusable as fault:
            yield fault
