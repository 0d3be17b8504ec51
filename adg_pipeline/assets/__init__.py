"""The graph, in the order of the data: an asset reads, calls, writes, and returns metadata."""
