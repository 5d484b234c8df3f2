"""Reading the files of a data set, with errors that say what should have been there."""

from pathlib import Path

from rag.errors import ConfigurationError


def lines_of(path: Path, *, expected: str) -> list[str]:
    """The lines of a UTF-8 text. `expected` says in words which folder it should be in.

    Raises `ConfigurationError`.
    """
    try:
        # str.splitlines would also cut at the Unicode line separators that texts contain.
        return path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigurationError(f"{path} is not there: {expected}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
