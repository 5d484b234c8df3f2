"""How a command that runs until it is stopped is stopped."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from api.cli.output import note


@contextmanager
def until_stopped() -> Generator[None]:
    """Ctrl-C and SIGTERM both end the block, and both are its proper end.

    SIGINT is heard again where whoever started us had it ignored, as shells do for what they
    start in the background.
    """

    def interrupt(_signal: int, _frame: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, interrupt),
    }
    try:
        yield
    except KeyboardInterrupt:
        note("Stopped.")
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
