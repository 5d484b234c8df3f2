"""Which folders an administrator may register over the API."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rag.errors import InvalidRequest


def check_root(settings: Mapping[str, object], *, data_dir: Path, allowed: Sequence[Path]) -> None:
    """Raises `InvalidRequest` for a `root` outside `allowed` (where any are named), and for one
    through which the platform's own database, keys and originals would be read."""
    root = settings.get("root")
    if not isinstance(root, str):
        return
    try:
        folder, own = Path(root).resolve(), data_dir.resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise InvalidRequest("settings.root is no path") from error
    if allowed and not any(folder.is_relative_to(each.resolve()) for each in allowed):
        raise InvalidRequest("settings.root is not below a folder of ingestion.filesystem_roots")
    if folder.is_relative_to(own) or _would_be_listed(own, folder):
        raise InvalidRequest("settings.root holds the platform's own data")


def _would_be_listed(own: Path, folder: Path) -> bool:
    """Connectors pass hidden folders by, so `./.rag-data` below a root is out of reach."""
    return own.is_relative_to(folder) and not any(
        part.startswith(".") for part in own.relative_to(folder).parts
    )
