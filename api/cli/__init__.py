"""The `rag` command line: a client of the HTTP API, and the commands that set up, serve and measure."""

import os
from collections.abc import Sequence
from typing import NoReturn


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run one command: `words`, or the process's own. Ends with `SystemExit`.

    What goes wrong is one line on standard error and a non-zero exit.
    """
    _keep_blas_to_one_thread()
    # Not before: it brings numpy, whose BLAS asks for its threads once, when it is loaded.
    from api.cli.commands import run  # noqa: PLC0415

    run(words)


def _keep_blas_to_one_thread() -> None:
    """BLAS threads would wait busily beside ONNX Runtime's. Whoever set a number keeps it.

    OMP_NUM_THREADS is left alone: OpenBLAS would obey it, and so would torch, which needs more.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
