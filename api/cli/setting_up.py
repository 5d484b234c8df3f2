"""What `rag init` sets up: the database, a tenant and the operator's key."""

import os
from pathlib import Path

from api.cli.client import operator_key_file, operator_token
from api.migrations import migrate
from api.ownership import alone
from api.permissions import EVERY_PERMISSION
from api.settings import Settings
from rag.access import Principal, PrincipalId, TenantId
from rag.storage.access.keys import Keys
from rag.storage.access.tokens import parse_token
from rag.storage.database import open_database
from rag.storage.sources.ledger import Sources

OPERATOR = PrincipalId("app:operator")


async def initialise(settings: Settings) -> bool:
    """Set up what is missing; whether the operator key was. Safe to call again, and twice at once.

    An operator key that an earlier version made gets the permissions that there are by now.
    """
    path = operator_key_file(settings)
    async with alone(settings.data_dir):
        await migrate(settings.resolved_database_url)
        async with open_database(settings.resolved_database_url) as database:
            await Sources(database).add_tenant(TenantId(settings.tenant))
            keys, tenant = Keys(database), TenantId(settings.tenant)
            permissions = frozenset(map(str, EVERY_PERMISSION))
            if path.exists():
                known = parse_token(operator_token(settings))
                if known is not None:
                    await keys.permit(tenant, known.id, permissions)
                return False
            created = await keys.create(
                name="operator", principal=Principal(tenant, OPERATOR), permissions=permissions
            )
        _write_secret(path, created.token)
    return True


def _write_secret(path: Path, secret: str) -> None:
    """Whole or not at all, and never readable for others."""
    written = path.with_suffix(".new")
    written.unlink(missing_ok=True)
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
    written.replace(path)
