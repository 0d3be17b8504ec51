"""The table of reference losses: one row per example, in the order of the raw pool table."""

from typing import Final

import pyarrow as pa

# Log-probabilities are means over tokens, natural, of the model itself, rounded to 4 decimals. Null where status isn't ok
# (failed, or prompt_too_long: prompt and reference exceed the context), where the engine doesn't tell (entropies), where a
# pass wasn't asked for (plain) or is too long, or where there is no token.
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
    ]
)
