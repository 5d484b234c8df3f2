"""Where masked values wait until they are put back."""

from typing import Protocol


class Vault(Protocol):
    """The values of one request, sealed: nothing that is printed, logged or copied of it tells any.

    Two values that differ in case or white space alone are one.
    """

    def code_of(self, value: str) -> str | None:
        """The code under which `value` was put away."""
        ...

    def put(self, code: str, value: str) -> bool:
        """Put `value` away; false, and nothing done, where `code` is taken."""
        ...

    def value_of(self, code: str) -> str | None: ...

    def close(self) -> None:
        """Forget everything, the key first."""
        ...
