"""The door for a terminal: `main` has the command, every other module a subcommand of that name."""
