"""The names that pools give to one and the same thing, each family in the order of preference.

A name is looked up as `plain` writes it, so a file may have them in any case and with blanks or hyphens.
"""

import re
from functools import lru_cache

ID = ("example_id", "id", "uid", "uuid")
SOURCE = ("source", "dataset")
ASKED = (
    "instruction", "prompt", "question", "query", "problem", "user_prompt", "user_message", "inputs", "user", "human",
)  # fmt: skip
ANSWERED = (
    "output", "response", "completion", "answer", "generation", "target", "targets", "solution", "answers", "outputs",
    "responses", "assistant", "reply", "expected_output", "gpt",
)  # fmt: skip
CONTEXT = (
    "input", "context", "passage", "document", "paragraph", "article", "background", "contexts", "passages", "documents",
    "reference_text", "story", "evidence", "ctx",
)  # fmt: skip
SYSTEM = (
    "system", "system_prompt", "system_message", "system_instruction", "systemprompt", "system_text", "sys_prompt", "sys",
)  # fmt: skip
REASONING = (
    "reasoning_content", "reasoning", "thinking", "thinking_content", "thought", "thoughts", "chain_of_thought", "cot",
    "complex_cot",
)  # fmt: skip
TOOLS = ("tools", "functions", "tool_definitions", "function_definitions", "available_tools")
CONVERSATION = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat", "data")
CHOSEN = (
    "chosen",
    "chosen_response",
    "response_chosen",
    "chosen_answer",
    "preferred",
    "preferred_output",
    "preferred_response",
)
REJECTED = (
    "rejected", "rejected_response", "response_rejected", "rejected_answer", "dispreferred", "non_preferred",
    "non_preferred_output", "rejected_output", "dispreferred_response", "reject",
)  # fmt: skip
RANKING = ("ranking", "ranks", "rank")
SCORES = ("scores", "rewards", "ratings")  # of answers in a list: the more the better
CHOICES = ("choices", "options")

# Of a turn.
ROLE = ("role", "from", "speaker", "author", "sender")
CONTENT = ("content", "value", "text", "message", "utterance", "parts")

# What needs something else than text, as a key or as a part's type.
_MEDIA = re.compile(
    r"media|mm_data|multi_?modal_data|(input_)?(image|img|picture|photo|pixel_value|audio|speech|video)s?(_?(list|path|file|url|uri|name|byte|base64|data|pil)s?)?"
)

# Kept apart from the keys that nobody knows: they say where an example comes from or how it was filed, nothing of what
# is asked, answered or learnt. `content_hash` and `row` are our own columns, made anew; an answer not to be given is
# what the chosen one is for.
BOOKKEEPING = frozenset(
    {
        *ID, *SOURCE, *REJECTED, "content_hash", "row", "index", "idx", "row_idx", "__index_level_0__", "split", "name",
        "category", "topic", "is_classification", "language", "lang", "license", "url", "created_at", "timestamp", "model",
        "prompt_id", "parallel_tool_calls",
    }
)  # fmt: skip


@lru_cache(4096)
def plain(name: str) -> str:
    """``System Prompt`` and ``system-prompt`` are ``system_prompt``."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


@lru_cache(4096)
def is_media(name: str) -> bool:
    """Whether what stands under this plain name is something else than text."""
    return _MEDIA.fullmatch(name) is not None
