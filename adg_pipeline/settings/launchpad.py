"""A section as Dagster's launchpad shows it, and as a step gets it back."""

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import dagster as dg
from pydantic import ValidationError, create_model

from adg_pipeline.settings.loading import dotted, fault_of
from adg_pipeline.settings.sections import Section

SectionType = TypeVar("SectionType", bound=Section)


def launchpad_schema(section: Section) -> Any:
    """Dagster config schema of a section's type, with this section's values as the defaults."""
    fields: dict[str, Any] = {}
    for name, known in type(section).model_fields.items():
        with_default = copy.copy(known)
        with_default.default = getattr(section, name)
        fields[name] = (known.annotation, with_default)
    return create_model(type(section).__name__, __base__=type(section), **fields).to_config_schema()


def stage_config(
    section: type[SectionType], context: dg.AssetExecutionContext, instead: Mapping[str, Any] | None = None
) -> SectionType:
    """The configuration that a step was started with, with some values instead of its own.

    Raises Failure, without retries, for a value out of bounds: Dagster's own check of a launchpad knows types only.
    """
    try:
        return section.model_validate({**context.op_execution_context.op_config, **(instead or {})})
    except ValidationError as error:
        step = context.op_execution_context.op.name
        faults = [fault_of(detail, f"{step}.{dotted(detail)}", section.model_fields) for detail in error.errors()]
        raise dg.Failure("; ".join(faults), allow_retries=False) from error
