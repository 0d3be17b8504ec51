"""What computing a pool takes: measured on a sample, told by what is stored, planned, and held against what it took."""
