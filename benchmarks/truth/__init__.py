"""The truth: which arms pick examples that teach, in a world where what every example teaches is known.

Read in the order of the data: `worlds` (backbones), `records` (pools, noise), `signals` (what arms read), `subsets` (what
arms pick), `tuning` (what a pick teaches), `cells` and `sweep` (all of it, resumable), `tables` and `plots` (what came out).
"""
