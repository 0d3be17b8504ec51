"""How likely references are under a model: what a shard's table of reference losses is made of."""
