"""Pool files in, training files out.

The way of a pool file: `streams` (bytes: compression, encoding) → `framing` (bytes of each record) → `rows` (JSON, CSV,
TSV or Parquet values) → `shapes` (what the keys mean) → `examples` (canonical, or rejected) → `convert` (one table).
`layout` finds out which of these apply. `collections` and `hub` bring data sets of several files. `shards` and `split`
keep the pool directory, `exports` writes for trainers.
"""
