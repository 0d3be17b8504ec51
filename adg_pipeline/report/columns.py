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
    output_logprobs=("list<float64>", "Mean log-probability of each answer's tokens under the backbone itself"),
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
    answer_tokens=("float64", "Mean length of the answers in tokens; null where the engine doesn't tell"),
    eigenvalues=("list<float64>", "λ1 … λK of the centred answers, the largest first"),
    mode_sizes=("list<int32>", "Answers in each group of near-equal ones, the largest first, then zeros"),
    cosines=("list<float32>", "K × K products of the unit vectors, row by row"),
)
REFERENCE_COLUMNS = _columns(
    example_id=("string", "Example"),
    status=("string", "ok, failed or prompt_too_long (prompt and reference)"),
    reason=("string", "Why not ok"),
    reference_tokens=("int32", "Length of the reference in tokens, its end included"),
    reference_logprob=("float64", "Mean log-probability of the reference's tokens, given the prompt"),
    sequence_logprob=("float64", "The same of prompt and reference together"),
    bare_logprob=("float64", "The same of the reference after nothing but the marker that opens a response"),
    plain_logprob=("float64", "The same after instruction and input without a template; null unless asked for"),
    plain_bare_logprob=("float64", "The same of the reference alone; null unless asked for"),
    confident_surprise=(
        "float64",
        "Mean of σ(loss) · max(0, 1 - entropy / ln V); null where the engine tells no entropies",
    ),
    answer_logprob=("float64", "Mean log-probability of the sampled answers"),
    state=(
        "list<float>",
        "Last hidden states of prompt and reference, later tokens weighing more; null unless asked for",
    ),
    noisy_ifd=(
        "float64",
        "Perplexity given the instruction by that alone, mean of noisy copies; null unless asked for",
    ),
    selective_ifd=("list<double>", "The same of the tokens that the instruction changes most, by 64 thresholds"),
    selective_ifd_spread=("list<double>", "Its standard deviation over the copies"),
    selective_tokens=("list<int32>", "How many tokens of all copies those are"),
    ranker_score=("float64", "Score of the SCAR ranker; null unless asked for"),
)
FINGERPRINT_COLUMNS = _columns(
    example_id=("string", "Example"),
    signature=("fixed_size_binary[512]", "128 numbers of 32 bits: MinHash of the text's word n-grams"),
    bands=("fixed_size_list<uint64>[20]", "Keys of the signature's bands: near duplicates share at least one"),
    benchmark=("string", "With `benchmarks`: whose item the example gives away; null if none"),
    item=("string", "The item: where it stands in the benchmark"),
    coverage=("double", "Share of the item's words that is found"),
    ngram=("string", "Words that both have"),
    items=("int32", "Items that are found in all"),
)
TOKEN_COLUMNS = _columns(
    example_id=("string", "Example"),
    prompt_tokens=("int32", "Tokens of the prompt as the template writes it; null where it can't"),
    reference_tokens=("int32", "Tokens of the reference, with the one that ends it"),
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
