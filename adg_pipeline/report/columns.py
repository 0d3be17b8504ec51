"""Column schemas of the stored tables, with what each column means."""

from dagster import TableColumn, TableSchema


def _columns(**columns: tuple[str, str]) -> TableSchema:
    return TableSchema([TableColumn(name, type=kind, description=text) for name, (kind, text) in columns.items()])


RAW_POOL_COLUMNS = _columns(
    example_id=("string", "The file's own id, else a hash of the content"),
    source=("string", "The record's own source, else the file's name"),
    instruction=("string", "What is asked; of a conversation the last user turn"),
    input=("string", "Context of the instruction; empty where there is none"),
    output=("string", "Reference answer"),
    messages=(
        "list<struct<role, content, reasoning, tool_calls, tool_name, tool_call_id, learn>>",
        "All turns of a conversation; null for a single turn",
    ),
    tools=("string", "Functions that the assistant may call, as JSON; empty where there are none"),
    content_hash=("string", "Hash of instruction, input, output, messages and tools"),
    row=("int64", "Number of the record in its file, from 1"),
)
GENERATIONS_COLUMNS = _columns(
    example_id=("string", "Example"),
    status=("string", "ok, prompt_too_long or failed"),
    reason=("string", "Why not ok"),
    prompt_tokens=("int32", "Length of the prompt in tokens"),
    answers=("list<string>", "The K sampled answers"),
    finish_reasons=("list<string>", "stop, or length where the answer reached the token limit"),
    output_tokens=("list<int32>", "Length of each answer in tokens"),
    seeds=("list<int64>", "Seed of each sample"),
    request_ids=("list<string>", "Hash of each request: the same request is never paid twice"),
)
VECTOR_COLUMNS = _columns(
    id=("string", "shard/example_id/sample_index, unique"),
    example_id=("string", "Example"),
    shard=("string", "Pool shard"),
    sample_index=("int32", "0 … K - 1; 0 for an instruction"),
    vector=("fixed_size_list<float32>", "Unit vector; all zero for an empty answer"),
)
SCORE_COLUMNS = _columns(
    example_id=("string", "Example"),
    content_hash=("string", "Hash of the example's content"),
    source=("string", "Where the example comes from"),
    output_chars=("int32", "Length of the reference answer in characters"),
    reason=("string", "Why the example has no score; null if it has one"),
    empty_answers=("int32", "Empty answers among the K"),
    distinct_answers=("int32", "Distinct answers among the K"),
    dispersion=("float64", "D: mean squared distance of the answers' unit vectors to their mean, 0 … 1"),
    anisotropy=("float64", "I: 1 - λ1 / trace; 0 where all spread lies on one line"),
    effective_rank=("float64", "Directions that carry the spread"),
    largest_mode_share=("float64", "Share of the answers in the largest mode"),
    modes=("int32", "Groups of near-equal answers"),
)
SUBSET_COLUMNS = TableSchema(
    [
        TableColumn("rank", type="int64", description="Place in the subset, from 1: best first"),
        *RAW_POOL_COLUMNS.columns,
        TableColumn("shard", type="string", description="Pool shard"),
        TableColumn("score", type="float64", description="(1 - λ) dispersion + λ anisotropy"),
        TableColumn("dispersion", type="float64", description="D"),
        TableColumn("anisotropy", type="float64", description="I"),
        TableColumn("bin", type="int32", description="Semantic bin"),
    ]
)
