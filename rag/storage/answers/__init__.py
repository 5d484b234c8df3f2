"""Answers that were kept, and what became of the documents they were made of."""
