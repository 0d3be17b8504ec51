"""The table of reference losses: one row per example, in the order of the raw pool table."""

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa

# Log-probabilities are means over tokens, natural, of the model itself, rounded to 4 decimals. Null where status isn't ok
# (failed, or prompt_too_long: prompt and reference exceed the context), where the engine doesn't tell (entropies), where a
# pass wasn't asked for (those of `ON_REQUEST`) or is too long, or where there is no token.
REFERENCE_LOSSES_SCHEMA: Final = pa.schema(
    [
        pa.field("example_id", pa.string()),
        pa.field("status", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("reference_tokens", pa.int32()),
        pa.field("reference_logprob", pa.float64()),  # given the prompt; the end of the turn is a token like any other
        pa.field("sequence_logprob", pa.float64()),  # of prompt and reference together
        pa.field("bare_logprob", pa.float64()),  # of the reference after nothing but the marker that opens a response
        pa.field("plain_logprob", pa.float64()),  # after instruction and input, without a template
        pa.field("plain_bare_logprob", pa.float64()),  # alone; the first token, which has no prediction, not counted
        pa.field("confident_surprise", pa.float64()),  # mean of σ(loss) · max(0, 1 - entropy / ln V)
        pa.field("answer_logprob", pa.float64()),  # mean over the sampled answers, each given the prompt
        pa.field("state", pa.list_(pa.float32())),  # (d,) of prompt and reference: see `states`
        pa.field("noisy_ifd", pa.float64()),  # this and the three below: see `noise`
        pa.field("selective_ifd", pa.list_(pa.float64())),
        pa.field("selective_ifd_spread", pa.list_(pa.float64())),
        pa.field("selective_tokens", pa.list_(pa.int32())),
        pa.field("ranker_score", pa.float64()),  # of SCAR's ranker: see `ranker`
    ]
)

# The columns that a setting of `ReferenceLossConfig` asks for; the others are always there.
ON_REQUEST: Final[Mapping[str, Sequence[str]]] = {
    "plain": ("plain_logprob", "plain_bare_logprob"),
    "states": ("state",),
    "noisy_copies": ("noisy_ifd", "selective_ifd", "selective_ifd_spread", "selective_tokens"),
    "ranker": ("ranker_score",),
}
