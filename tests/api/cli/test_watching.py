"""Noticing changes in a folder."""

import asyncio
from contextlib import aclosing
from pathlib import Path

from api.cli.watching import changes_of, state_of


async def test_it_tells_at_once_and_then_of_each_change(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("one")
    async with aclosing(changes_of(tmp_path, every_s=0.01)) as changes:
        await anext(changes)
        for change in (_write, _rename, _remove):
            told = asyncio.ensure_future(anext(changes))
            await asyncio.sleep(0.05)
            assert not told.done()
            change(tmp_path)
            async with asyncio.timeout(60):
                await told


def test_a_folder_that_is_gone_is_empty(tmp_path: Path) -> None:
    assert state_of(tmp_path / "gone") == {}


def _write(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "b.md").write_text("two")


def _rename(folder: Path) -> None:
    (folder / "a.md").rename(folder / "c.md")


def _remove(folder: Path) -> None:
    (folder / "c.md").unlink()
