"""What a sync tells of itself: what it found, in numbers, and what of the source it could not read."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from connectors.protocols import Problem
from ingestion.comparing import ChangeKind
from rag.storage.sources.ledger import MAX_PROBLEMS
from rag.storage.sources.records import Tally


@dataclass(slots=True)
class SyncReport:
    """The account of one run, as far as it is."""

    tally: Tally = field(default_factory=Tally)
    problems: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(URI, reason) of the first ones; the tally counts all."""
    hidden: list[str] = field(default_factory=list[str])
    """URIs at or below which nothing could be listed."""
    held_back: int = 0
    """Deletions that wait to be confirmed."""

    def goes_by(self, mode: Literal["listing", "changes"]) -> None:
        self.tally = replace(self.tally, mode=mode)

    def compared(self, number: int) -> None:
        self.tally = replace(self.tally, seen=self.tally.seen + number)

    def changed(self, kinds: Iterable[ChangeKind]) -> None:
        self.tally = self.tally.with_more(kind.value for kind in kinds)

    def note(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.tally = replace(self.tally, problems=self.tally.problems + 1)
            if problem.hides:
                self.hide(problem.uri)
            if len(self.problems) < MAX_PROBLEMS:
                self.problems.append((problem.uri, problem.reason))

    def hide(self, uri: str) -> None:
        if uri not in self.hidden:
            self.hidden.append(uri)

    def is_hidden(self, uri: str) -> bool:
        return any(f"{uri}/".startswith(f"{folder}/") for folder in self.hidden)

    def summary(self) -> str | None:
        """What an administrator is to know, in a line; None where there is nothing."""
        if self.held_back:
            return (
                f"{self.held_back} documents are not listed any more: too many to delete unasked. "
                "Confirm it if they are really gone"
            )
        problems = self.tally.problems
        if not problems:
            return None
        return "1 problem at the source" if problems == 1 else f"{problems} problems at the source"
