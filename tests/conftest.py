"""Fixtures that every test may ask for."""

pytest_plugins = ["tests.model_server", "tests.models", "tests.services"]
