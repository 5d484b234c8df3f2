"""Fixtures that every test may ask for."""

import gc

import pytest
from hypothesis import settings

pytest_plugins = ["tests.model_server", "tests.models", "tests.services"]

# Timing is never asserted: an example may take its time on a machine that is busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

LONG = ("tests/acceptance/", "tests/api/cli/", "tests/rag/test_tiny_model_grounding.py")
"""Files that take long. They come first: one at the end would keep a worker busy while others rest."""

# What is imported and collected stays to the end. To look through all of it for garbage, again and
# again, would be a seventh of what the tests cost.
gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()
