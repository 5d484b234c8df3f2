"""One owner of a data directory, whatever happens to it."""

import asyncio
import json
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.ownership import Owned, OwnedElsewhere, alone, announced, claim
from rag.errors import ConfigurationError

URL = "http://127.0.0.1:8000"


def test_the_first_owns_and_the_second_learns_where_it_serves(tmp_path: Path) -> None:
    with claim(tmp_path) as first, announced(tmp_path, URL), claim(tmp_path) as second:
        assert first == Owned()
        assert second == OwnedElsewhere(URL)


def test_an_owner_that_serves_nothing_has_no_address(tmp_path: Path) -> None:
    with claim(tmp_path), claim(tmp_path) as second:
        assert second == OwnedElsewhere(None)


def test_the_address_of_a_killed_server_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(json.dumps({"url": URL, "pid": 1}))
    with claim(tmp_path) as first, claim(tmp_path) as second:
        assert first == Owned()
        assert second == OwnedElsewhere(None)


@pytest.mark.parametrize("written", ["", "{", "[]", "null", '"text"', "{}"])
def test_an_address_that_cannot_be_read_is_none(tmp_path: Path, written: str) -> None:
    with claim(tmp_path), claim(tmp_path) as second:
        (tmp_path / "server.json").write_text(written)
        assert second == OwnedElsewhere(None)
        with claim(tmp_path) as third:
            assert third == OwnedElsewhere(None)


def test_a_directory_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="file"), claim(tmp_path / "file" / "data"):
        pass


def test_the_data_directory_is_for_its_owner_alone(tmp_path: Path) -> None:
    with claim(tmp_path / "data"):
        assert (tmp_path / "data").stat().st_mode & 0o077 == 0


@settings(max_examples=50)
@given(st.lists(st.booleans(), max_size=12))
def test_there_is_one_owner_at_a_time_and_always_a_next(steps: list[bool]) -> None:
    """True: somebody more claims. False: whoever owns lets go, and with them those who waited."""
    with TemporaryDirectory() as folder:
        stack, inside = ExitStack(), 0
        with stack:
            for claims in steps:
                if claims:
                    is_owner = stack.enter_context(claim(Path(folder))) == Owned()
                    assert is_owner == (inside == 0)
                    inside += 1
                else:
                    stack.close()
                    inside = 0


async def test_those_who_set_up_at_once_do_it_one_after_the_other(tmp_path: Path) -> None:
    inside = most = 0

    async def set_up() -> None:
        nonlocal inside, most
        async with alone(tmp_path):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(set_up() for _ in range(5)))
    assert most == 1
