"""The `rag` command line: a client of the HTTP API, and the commands that set up, serve and measure."""

from collections.abc import Sequence
from typing import NoReturn

from api.blas import keep_blas_to_one_thread
from rag.starting import importing


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run one command: `words`, or the process's own. Ends with `SystemExit`.

    What goes wrong is one line on standard error and a non-zero exit.
    """
    keep_blas_to_one_thread()
    with importing():
        from api.cli.commands import run  # noqa: PLC0415 - it brings numpy

    run(words)
