"""What most commands are: one call of the API, and its answer."""

import asyncio
from collections.abc import Mapping
from typing import Any

from api.cli.client import open_api
from api.cli.options import settings_for


def call(
    method: str,
    path: str,
    tenant: str | None,
    *,
    body: Mapping[str, Any] | None = None,
    params: Mapping[str, str | int | list[str]] | None = None,
) -> Any:
    """The decoded answer; None for an empty one. Errors: those of `open_api` and `Api.call`."""

    async def run() -> Any:
        async with open_api(settings_for(tenant)) as api:
            return await api.call(method, path, body=body, params=params)

    return asyncio.run(run())
