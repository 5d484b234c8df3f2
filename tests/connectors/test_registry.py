"""Building connectors from what an operator sets."""

from pathlib import Path

import pytest

from connectors.filesystem import FilesystemConnector
from connectors.registry import build_connector, known_kinds
from rag.access import readable_by
from rag.errors import ConfigurationError
from rag.types import SourceId

SOURCE = SourceId("docs")


def test_a_filesystem_connector_takes_its_settings(tmp_path: Path) -> None:
    connector = build_connector(
        "filesystem",
        {
            "root": str(tmp_path),
            "readers": ["group:finance"],
            "metadata": {"department": "finance"},
            "max_bytes": 10,
        },
        source=SOURCE,
    )
    assert connector == FilesystemConnector(
        tmp_path,
        source=SOURCE,
        default_access=readable_by(["group:finance"]),
        default_metadata={"department": "finance"},
        max_bytes=10,
    )


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "root"),
        ({"root": ""}, "root"),
        ({"root": "relative"}, "absolute"),
        ({"root": "/srv", "readers": "everyone"}, "readers"),
        ({"root": "/srv", "readers": ["finance"]}, "finance"),
        ({"root": "/srv", "metadata": {"a": [1]}}, "metadata"),
        ({"root": "/srv", "metadata": "a=b"}, "metadata"),
        ({"root": "/srv", "max_bytes": 0}, "max_bytes"),
        ({"root": "/srv", "max_bytes": True}, "max_bytes"),
        ({"root": "/srv", "rot": "/srv"}, "rot"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        build_connector("filesystem", settings, source=SOURCE)


def test_an_unknown_kind_names_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=", ".join(known_kinds())):
        build_connector("floppy", {}, source=SOURCE)
