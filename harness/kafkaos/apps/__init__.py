"""Applications under test: supervised processes and the line contract that they speak."""
