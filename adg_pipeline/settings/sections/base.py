"""What all sections have: a configuration whose recipe decides the stage's result, and types that several of them share."""

from typing import Any, ClassVar, Literal

from dagster import Config
from pydantic import ConfigDict

Device = str
DType = Literal["auto", "float64", "float32", "bfloat16", "float16"]


class Section(Config):
    """A stage's configuration. ``recipe()`` is the part that decides its result."""

    # A misspelt key must not pass for a default.
    model_config = ConfigDict(extra="forbid")

    RECIPE: ClassVar[tuple[str, ...]] = ()

    #: Part of the recipe only where they differ from their default, which is what was done before they existed: so
    #: they make nothing stale that was stored without them.
    RECIPE_IF_SET: ClassVar[tuple[str, ...]] = ()

    def recipe(self) -> dict[str, Any]:
        """The fields that decide what the stage computes, as plain JSON values."""
        values = self.model_dump(mode="json")
        defaults = {
            name: known.get_default(call_default_factory=True) for name, known in type(self).model_fields.items()
        }
        given = [name for name in self.RECIPE_IF_SET if getattr(self, name) != defaults[name]]
        return {name: values[name] for name in (*self.RECIPE, *given)}
