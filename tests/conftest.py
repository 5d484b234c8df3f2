"""Fixtures that every test may ask for."""

from hypothesis import settings

pytest_plugins = ["tests.model_server", "tests.models", "tests.services"]

# Timing is never asserted: an example may take its time on a machine that is busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
