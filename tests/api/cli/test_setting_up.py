"""Setting up again, where an earlier version did it first."""

from pathlib import Path

from sqlalchemy import update

from api.cli.client import operator_token
from api.cli.setting_up import initialise
from api.permissions import EVERY_PERMISSION
from api.settings import Settings
from rag.storage.access.keys import Keys
from rag.storage.database import open_database
from rag.storage.tables import ApiKeyRow


async def test_an_operator_key_of_an_earlier_version_gets_what_is_new(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert await initialise(settings)
    token = operator_token(settings)
    async with open_database(settings.resolved_database_url) as database:
        async with database.writing() as connection:
            await connection.execute(update(ApiKeyRow).values(permissions=["search"]))
        assert not await initialise(settings)
        key = await Keys(database).authenticate(token)
    assert operator_token(settings) == token
    assert key is not None and key.permissions == EVERY_PERMISSION
