"""Prompts: one rendering that sampling and training share, so that the backbone is tuned on what it was asked.

A rendered prompt is text to be tokenized *with* special tokens. A BOS that a chat template writes out, and that the
tokenizer would add by itself, is taken off, so that it stands once whoever tokenizes: an engine, a server, a trainer.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from adg_pipeline.errors import PipelineError

Template = Literal["alpaca", "chat"]
Message = Mapping[str, str]

# The two templates of Stanford Alpaca (github.com/tatsu-lab/stanford_alpaca), with the line break after "Response:"
# that makes the answer start on a line of its own.
ALPACA_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
)
ALPACA_WITHOUT_INPUT = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:\n"
)

# Names that pools use for the roles of the chat-completions form. A function call is the model's own turn; what came
# back from it is the tool's.
_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "tool_call": "assistant",
    "observation": "tool",
    "function": "tool",
    "function_response": "tool",
    "tool_response": "tool",
    "developer": "system",
}


class PromptError(ValueError):
    """The chat template refuses this one example, for instance because of the order of its roles."""


class MissingChatTemplate(PipelineError):
    """The tokenizer has no chat template: no example can be rendered."""


def alpaca_prompt(instruction: str, input: str = "") -> str:
    """The Stanford Alpaca prompt, up to and including ``### Response:`` and a line break."""
    # Not str.format on user text: an instruction may hold braces, and only the template is a format.
    template = ALPACA_WITH_INPUT if input.strip() else ALPACA_WITHOUT_INPUT
    return template.format(instruction=instruction, input=input)


def user_turn(instruction: str, input: str = "") -> str:
    """Instruction and input as one user message: the input follows on a line of its own."""
    return f"{instruction}\n{input}" if input.strip() else instruction


def standard_role(role: str) -> str:
    """``user``, ``assistant``, ``system`` or ``tool`` for the names known; any other name in lower case, as it is."""
    name = role.strip().lower()
    return _ROLES.get(name, name)


def prompt_messages(
    instruction: str, input: str = "", messages: Sequence[Message] | None = None
) -> list[dict[str, str]]:
    """The turns that the next answer is asked for.

    A single-turn example is one user message. For a conversation (``messages``, which is then all that is read) it is
    every turn before the last assistant turn, since that one is the reference answer; roles come in their standard
    names. A conversation without an assistant turn is taken whole; one that begins with its only assistant turn says
    nothing before it, and the instruction is asked instead.
    """
    turns = [{"role": standard_role(turn["role"]), "content": turn["content"] or ""} for turn in messages or ()]
    answered = [place for place, turn in enumerate(turns) if turn["role"] == "assistant"]
    context = turns[: answered[-1]] if answered else turns
    return context or [{"role": "user", "content": user_turn(instruction, input)}]


def render_prompt(
    instruction: str,
    input: str,
    messages: Sequence[Message] | None,
    template: Template,
    tokenizer: Any = None,
) -> str:
    """The prompt of one example, as text to be tokenized with special tokens.

    ``alpaca`` needs no tokenizer. A conversation becomes its instruction: system text first, then, if there is more
    than one turn, a transcript with a blank line between turns and each turn led by its speaker::

        You are a helpful assistant.

        User: What is the tallest mountain?

        Assistant: Mount Everest.

        User: And the second?

    ``chat`` renders with the tokenizer's own chat template and its generation prompt.

    Raises:
        MissingChatTemplate: ``chat`` without a tokenizer that has a chat template.
        PromptError: the chat template refuses this example.
    """
    if template == "alpaca":
        if not messages:
            return alpaca_prompt(instruction, input)
        return alpaca_prompt(_transcript(prompt_messages(instruction, input, messages)))
    require_chat_template(tokenizer)
    return _chat_prompt(prompt_messages(instruction, input, messages), tokenizer)


def require_chat_template(tokenizer: Any) -> None:
    """Raise `MissingChatTemplate`, naming the model and the mend, unless the tokenizer has a chat template."""
    if getattr(tokenizer, "chat_template", None) is None:
        model = getattr(tokenizer, "name_or_path", None) or "the backbone"
        raise MissingChatTemplate(
            f"the tokenizer of {model} has no chat template; set `template: alpaca`, "
            "or use a backbone whose tokenizer has one"
        )


def _transcript(turns: Sequence[Message]) -> str:
    system = [turn["content"] for turn in turns if turn["role"] == "system"]
    spoken = [turn for turn in turns if turn["role"] != "system"]
    if len(spoken) == 1:
        return "\n\n".join([*system, spoken[0]["content"]])
    return "\n\n".join([*system, *(f"{turn['role'].capitalize()}: {turn['content']}" for turn in spoken)])


def _chat_prompt(turns: list[dict[str, str]], tokenizer: Any) -> str:
    from jinja2 import TemplateError

    try:
        prompt: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except TemplateError as error:
        roles = ", ".join(turn["role"] for turn in turns)
        raise PromptError(f"the chat template refuses the roles {roles}: {error}") from error
    bos = tokenizer.bos_token
    if bos and prompt.startswith(bos) and tokenizer("").input_ids[:1] == [tokenizer.bos_token_id]:
        return prompt.removeprefix(bos)
    return prompt
