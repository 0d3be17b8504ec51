"""How an answer ends: in which words servers say it, and where a stop text cuts it."""

from collections.abc import Sequence
from typing import Final

STOP: Final = "stop"
LENGTH: Final = "length"
TOOL_CALLS: Final = "tool_calls"

# OpenAI's words and those of servers with an API in its manner: text-generation-inference (eos_token, stop_sequence),
# llama.cpp's own fields (eos, word, limit), Together (eos), TensorRT-LLM (end_id, stop_words), Mistral (model_length),
# Anthropic (end_turn, max_tokens, tool_use), Gemini (MAX_TOKENS), Cohere (COMPLETE). Any other word (content_filter,
# error, abort, safety, recitation, refusal, load, insufficient_system_resource, …) says that this is no answer.
_WORDS = {
    STOP: ("stop", "eos", "eos_token", "eog", "stop_sequence", "stop_token", "stop_words", "word", "end_id", "end_turn",
           "complete", "completed"),
    LENGTH: ("length", "max_tokens", "max_new_tokens", "max_output_tokens", "max_length", "model_length", "limit"),
    TOOL_CALLS: ("tool_calls", "tool_call", "function_call", "tool_use"),
}  # fmt: skip
_ENDINGS = {word: ending for ending, words in _WORDS.items() for word in words}


def ending(word: object) -> str | None:
    """``stop``, ``length`` or ``tool_calls`` for an engine's finish reason; None if what came with it is no answer."""
    if not isinstance(word, str):
        return None
    return _ENDINGS.get(word.strip().lower().replace("-", "_").removeprefix("finish_reason_"))


class StopTexts:
    """Texts that end an answer, which is cut before them.

    The first that stands complete in the answer counts; of several that are complete at once the longest, so that a
    stop with a line break in front takes the line break away although the same stop without it is there too.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        #: Longest first: what vLLM takes where several are complete at once is the first of its list.
        self.texts = sorted(set(texts), key=lambda text: (-len(text), text))
        #: More bytes of an answer's end than any of them has.
        self.reach = max((len(text.encode()) for text in self.texts), default=0)

    def __bool__(self) -> bool:
        return bool(self.texts)

    def cut(self, answer: str) -> str | None:
        """The answer up to where it is stopped, None where it isn't."""
        places = [(start + len(text), start) for text in self.texts if (start := answer.find(text)) >= 0]
        return answer[: min(places)[1]] if places else None
