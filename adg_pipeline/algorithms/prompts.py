"""Prompts as pure text: the Alpaca template, the turns that an answer is asked for, a conversation as a transcript.

What needs a tokenizer, a chat template above all, is `adg_pipeline.models.templates`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Template = Literal["alpaca", "chat"]
Turn = dict[str, Any]

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
    "prompter": "user",
    "ai": "assistant",
    "chatbot": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "function_calls": "assistant",
    "tool_call": "assistant",
    "tool_calls": "assistant",
    "observation": "tool",
    "function": "tool",
    "function_response": "tool",
    "function_result": "tool",
    "tool_response": "tool",
    "tool_result": "tool",
    "ipython": "tool",
    "developer": "system",
}


class PromptError(ValueError):
    """The template refuses this one example, for instance because of the order of its roles."""


class NoPlace(PromptError):
    """The template would pass over a part of this example: its tools, say. The message names the part only."""


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
    name = role.strip().lower().replace("-", "_").replace(" ", "_")
    return _ROLES.get(name, name)


def prompt_messages(
    instruction: str, input: str = "", messages: Sequence[Mapping[str, Any]] | None = None
) -> list[Turn]:
    """The turns that the next answer is asked for.

    A single-turn example is one user message. For a conversation (``messages``, which is then all that is read) it is
    every turn before the last assistant turn that may be learnt, since that one is the reference answer; roles come in
    their standard names. A conversation without such a turn is taken whole; one that begins with its only assistant turn
    says nothing before it, and the instruction is asked instead.
    """
    turns = _turns(messages)
    reference = _reference(turns)
    context = turns if reference is None else turns[:reference]
    return context or [{"role": "user", "content": user_turn(instruction, input)}]


def answered_messages(
    instruction: str, input: str, output: str, messages: Sequence[Mapping[str, Any]] | None = None
) -> list[Turn]:
    """`prompt_messages` and the reference answer after them."""
    turns = _turns(messages)
    reference = _reference(turns)
    answer = {"role": "assistant", "content": output} if reference is None else turns[reference]
    return [*prompt_messages(instruction, input, messages), answer]


def may_be_learnt(turn: Mapping[str, Any]) -> bool:
    """Whether a turn is an answer that isn't marked as one not to be learnt."""
    return turn["role"] == "assistant" and turn.get("learn") is not False


def fold_system_text(turns: Sequence[Turn]) -> list[Turn]:
    """The turns with system text at the head of the user turn that follows it, after which a line stays empty."""
    folded: list[Turn] = []
    waiting: list[str] = []
    for turn in turns:
        if turn["role"] == "system":
            waiting.append(turn["content"])
        elif turn["role"] == "user" and waiting:
            folded.append({**turn, "content": "\n\n".join([*waiting, turn["content"]])})
            waiting = []
        else:
            folded.append(turn)
    if waiting:
        folded.append({"role": "user", "content": "\n\n".join(waiting)})
    return folded


def transcript(turns: Sequence[Turn]) -> str:
    """A conversation as one instruction for the Alpaca template.

    System text first, then, if there is more than one turn, each turn led by its speaker, with a blank line between::

        You are a helpful assistant.

        User: What is the tallest mountain?

        Assistant: Mount Everest.

        User: And the second?
    """
    system = [turn["content"] for turn in turns if turn["role"] == "system"]
    spoken = [turn for turn in turns if turn["role"] != "system"]
    if len(spoken) == 1:
        return "\n\n".join([*system, spoken[0]["content"]])
    return "\n\n".join([*system, *(f"{turn['role'].capitalize()}: {turn['content']}" for turn in spoken)])


def alpaca_answer(answer: Mapping[str, Any]) -> str:
    """The reference answer as text, its reasoning, if there is any, in front between ``<think>`` and ``</think>``."""
    reasoning = answer.get("reasoning")
    return f"<think>\n{reasoning}\n</think>\n\n{answer['content']}" if reasoning else answer["content"]


def _turns(messages: Sequence[Mapping[str, Any]] | None) -> list[Turn]:
    return [
        {**turn, "role": standard_role(turn["role"]), "content": turn["content"] or ""} for turn in messages or ()
    ]  # fmt: skip


def _reference(turns: Sequence[Turn]) -> int | None:
    """Place of the reference answer."""
    return max((place for place, turn in enumerate(turns) if may_be_learnt(turn)), default=None)
