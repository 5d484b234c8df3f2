"""The queue of what guardrails flagged for a person to look at."""
