"""What a user sets: sections with types, units, defaults and bounds; the file they are read from; the budget."""
