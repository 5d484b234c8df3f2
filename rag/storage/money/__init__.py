"""Budgets, what counts against them, alerts and the usage ledger."""
