"""Questions that follow one another: what was said, what a follow-up means, what is shown of it."""
