"""All commands of `rag` under one name, and how each of them ends."""

import io
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import NoReturn

import typer

from api.cli import (
    asking,
    auditing,
    budgets,
    caching,
    evaluating,
    gateway,
    generations,
    groups,
    ingesting,
    operating,
    prompts,
    quarantine,
    reviews,
    serving,
)
from api.cli.client import ApiProblem
from api.cli.output import fail
from rag.errors import Error

app = typer.Typer(
    name="rag",
    help="Answers from a company's own documents: permitted, cited, checked, current.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (
    serving,
    ingesting,
    asking,
    operating,
    groups,
    quarantine,
    generations,
    prompts,
    gateway,
    evaluating,
    auditing,
    reviews,
    budgets,
    caching,
):
    commands.add_to(app)


def run(words: Sequence[str] | None = None) -> NoReturn:
    """Run one command: `words`, or the process's own. Ends with `SystemExit`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character shows a question mark.
            stream.reconfigure(errors="replace")
    try:
        app(words, prog_name="rag")
    except (Error, ApiProblem) as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except BrokenPipeError:
        # The reader of a pipe has seen enough; what is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        _fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part), 1)
    except Exception as error:  # noqa: BLE001 - nobody is shown a traceback; it is kept for them
        _fail(f"this is a mistake of ours ({type(error).__name__}): see {_kept()}", 70)
    sys.exit(0)


def _fail(text: str, status: int) -> NoReturn:
    fail(text)
    sys.exit(status)


def _kept() -> str:
    """The file that tells where the current exception comes from."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="rag-mistake-", suffix=".txt", delete=False
    ) as file:
        file.write(traceback.format_exc())
    return file.name
