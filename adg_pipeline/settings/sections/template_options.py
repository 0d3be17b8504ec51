"""Switches of a chat template, which sampling and training share."""

from typing import Annotated, Any

from pydantic import AfterValidator

# Names that transformers' apply_chat_template takes for itself.
_NOT_TEMPLATE_OPTIONS = {
    "conversation", "messages", "tools", "chat_template", "add_generation_prompt", "continue_final_message", "tokenize",
    "padding", "truncation", "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask",
    "tokenizer_kwargs",
}  # fmt: skip


def _the_templates_own(options: dict[str, Any]) -> dict[str, Any]:
    if ours := sorted(_NOT_TEMPLATE_OPTIONS & options.keys()):
        raise ValueError(f"{', '.join(ours)} is decided by the pipeline, not by an option of the template")
    if unset := sorted(name for name, given in options.items() if given is None):
        raise ValueError(f"{', '.join(unset)} has no value: leave it out")
    return options


TemplateOptions = Annotated[dict[str, Any], AfterValidator(_the_templates_own)]
