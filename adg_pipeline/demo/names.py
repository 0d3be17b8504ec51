"""What the demo compares, by the names of its columns."""

ADG, GROUNDED, RANDOM = "adg", "adg_grounded", "random"
# No arms: what could be reached, which no selector knows, and what one trains on who selects nothing.
ORACLE, POOL = "oracle", "whole pool"
