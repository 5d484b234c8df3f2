"""`rag cache`: answers that are kept to be given again."""

from typing import Annotated

import typer

from api.cli.calling import call
from api.cli.options import AsJson, Tenant
from api.cli.output import show, show_json

CACHE = "/v1/admin/cache"


def add_to(app: typer.Typer) -> None:
    cache = typer.Typer(no_args_is_help=True, help="Answers that are kept to be given again.")
    cache.command("show", epilog="Example: rag cache show")(show_cache)
    cache.command("clear", epilog="Example: rag cache clear --prompt answer/v1")(clear)
    app.add_typer(cache, name="cache")


def show_cache(*, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """How many answers are kept."""
    found = call("GET", CACHE, tenant)
    if as_json:
        show_json(found)
    else:
        show(f"{found['answers']} answers kept")


def clear(
    *,
    document: Annotated[str | None, typer.Option(help="Only those made of this document.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Only those of this prompt version.")] = None,
    generation: Annotated[
        int | None, typer.Option(min=1, help="Only those of this generation of the index.")
    ] = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Forget answers, or those made of all that is named. No process gives them from then on."""
    said = {"document": document, "prompt": prompt, "generation": generation}
    params = {name: value for name, value in said.items() if value is not None}
    cleared = call("DELETE", CACHE, tenant, params=params)
    if as_json:
        show_json(cleared)
    else:
        show(f"{cleared['forgotten']} answers forgotten")
