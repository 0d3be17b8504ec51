"""What is current and why not: recipes, states, and the way back from an example."""
