"""Generations of the index: which there are, which one serves, what each holds."""
