"""Checks of every text on its way to a model or to a person, one file a check."""
