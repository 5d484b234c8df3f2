"""What the platform should show, said as simply as it can be: dictionaries, no database, no jobs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ingestion.members import MEMBER_MARK, member_uri
from rag.access import EVERYONE, AccessList, PrincipalId
from tests.ingestion.boxes import Box

UNREADABLE = "!broken"
Content = str | Box
Line = tuple[str, str]
"""A URI, and a passage that is found there."""


def lines_of(uri: str, content: Content) -> list[Line]:
    """All that is to be found of a resource and of what lies in it."""
    if isinstance(content, str):
        return [(uri, line) for line in content.splitlines() if line]
    found = [(uri, f"A box of {len(content)}")]
    for name, held in content.items():
        found += lines_of(member_uri(uri, name), held)
    return found


def unreadable_in(uri: str, content: Content) -> list[str]:
    if isinstance(content, str):
        return [uri] if content == UNREADABLE else []
    return [
        bad for name, held in content.items() for bad in unreadable_in(member_uri(uri, name), held)
    ]


def admits(access: AccessList, identities: frozenset[PrincipalId]) -> bool:
    """An AND of ORs with a deny that wins; no clause admits nobody."""
    if not access.clauses or access.denied & identities:
        return False
    return all(clause & identities for clause in access.clauses)


@dataclass(frozen=True, slots=True)
class Entry:
    content: Content
    access: AccessList


@dataclass(slots=True)
class Reference:
    """The source as it is, and as it ever was."""

    files: dict[str, Entry] = field(default_factory=dict[str, Entry])
    members: dict[PrincipalId, frozenset[PrincipalId]] = field(
        default_factory=dict[PrincipalId, frozenset[PrincipalId]]
    )
    """Of each group."""
    ever: dict[Line, list[AccessList]] = field(default_factory=dict[Line, list[AccessList]])
    """Under which access lists each passage has been at its place."""
    since_told: dict[str, list[AccessList]] = field(default_factory=dict[str, list[AccessList]])
    """The access of each file when the platform was last told, and each that it had since."""

    # --- what happens at the source -------------------------------------------------------------

    def put(self, uri: str, content: Content, access: AccessList) -> None:
        self.files[uri] = Entry(content, access)
        for line in lines_of(uri, content):
            self.ever.setdefault(line, []).append(access)
        self.since_told.setdefault(uri, []).append(access)

    def remove(self, uri: str) -> None:
        del self.files[uri]

    # --- what the platform was told -------------------------------------------------------------

    def told(self) -> None:
        """It has listed the source to the end. A deletion counts once its job is done."""
        for uri, entry in self.files.items():
            self.since_told[uri] = [entry.access]

    def done(self) -> None:
        """And it has done all that followed."""
        self.since_told = {uri: [entry.access] for uri, entry in self.files.items()}

    # --- what follows ---------------------------------------------------------------------------

    def identities_of(self, user: PrincipalId) -> frozenset[PrincipalId]:
        found = {user, EVERYONE}
        while True:
            more = {group for group, members in self.members.items() if members & found} - found
            if not more:
                return frozenset(found)
            found |= more

    def shown_to(self, user: PrincipalId) -> list[Line]:
        """Exactly what this user finds once the platform has done all there was to do, but for
        what `is_open` says of."""
        identities = self.identities_of(user)
        return sorted(
            line
            for uri, entry in self.files.items()
            if admits(entry.access, identities)
            for line in lines_of(uri, entry.content)
            if not self.is_open(line[0])
        )

    def is_open(self, uri: str) -> bool:
        """Whether the newest content at `uri` cannot be read: what is shown then depends on what
        was shown before."""
        return any(
            uri == bad or uri.startswith(f"{bad}{MEMBER_MARK}") for bad in self._unreadable()
        )

    def forbids(self, user: PrincipalId, line: Line) -> str | None:
        """Why this user may not find `line` now, whatever was done of the jobs; None if he may."""
        identities = self.identities_of(user)
        if not _some(self.ever.get(line, ()), identities):
            return "nobody ever let him read that there"
        top = line[0].partition(MEMBER_MARK)[0]
        if not _some(self.since_told.get(top, ()), identities):
            return "the platform was told that he may not"
        return None

    def _unreadable(self) -> Iterable[str]:
        return [
            bad for uri, entry in self.files.items() for bad in unreadable_in(uri, entry.content)
        ]


def _some(lists: Iterable[AccessList], identities: frozenset[PrincipalId]) -> bool:
    return any(admits(access, identities) for access in lists)


def with_member(box: Mapping[str, Content], name: str, held: Content | None) -> Box:
    """`box` with `held` under `name`, or without `name`."""
    rest = {other: each for other, each in box.items() if other != name}
    return rest if held is None else rest | {name: held}
