"""Bytes to documents: one module a family of formats, run in a killable child process."""
