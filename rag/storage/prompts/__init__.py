"""Prompts in the ledger: versions, labels, rollouts, and how questions went."""
