"""The `rag` command line: a client of the HTTP API, and the commands that set up, serve and measure."""

import os
import sys

import typer

from api.cli import asking, evaluating, ingesting, operating, serving
from api.cli.client import ApiProblem
from api.cli.output import fail
from rag.errors import Error

app = typer.Typer(
    help="Answers from a company's own documents: permitted, cited, checked, current.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (serving, ingesting, asking, operating, evaluating):
    commands.add_to(app)


def main() -> None:
    """Run one command. What goes wrong is one line on standard error and a non-zero exit."""
    try:
        app()
    except (Error, ApiProblem) as error:
        fail(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        fail("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe has seen enough; what is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
