"""A folder that changes from state to state, its groups, and who may read what of it in each.

The states follow from a seed alone. What a reader may see is said here without any part of the
platform: it is what the platform is checked against.
"""

import hashlib
import json
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ingestion.members import member_uri
from tests.ingestion.validation.inputs import AWS

USERS = ("user:anna", "user:bert", "user:carl", "user:dora", "user:eve")
GROUPS = ("group:finance", "group:sales", "group:legal", "group:staff")
_FOLDERS = ("open", "closed", "open/inner")
_READERS = (
    ("group:finance",),
    ("group:sales",),
    ("group:legal", "user:carl"),
    ("group:staff",),
    ("everyone",),
    (),
)
_DENIED = ((), (), (), ("user:bert",), ("group:sales",))

Body = tuple[str, ...] | Mapping[str, "Body"]
"""The lines of a file, or the files in a box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What lies at a path of the folder."""

    body: Body
    readers: tuple[str, ...]
    denied: tuple[str, ...] = ()
    edition: int = 0
    is_broken: bool = False
    """No parser can read it now: readers go on seeing `body`."""
    is_released: bool = False
    """An administrator let this version out of quarantine."""

    @property
    def is_box(self) -> bool:
        return isinstance(self.body, Mapping)

    @property
    def is_kept_back(self) -> bool:
        return not self.is_box and _leaks(self.body) and not self.is_released

    @property
    def written(self) -> bytes:
        if self.is_broken:
            return f"!broken {self.edition}".encode()
        return _packed(self.body, self.edition)


@dataclass(frozen=True, slots=True)
class Shown:
    """A document as its readers see it."""

    texts: frozenset[str]
    readers: frozenset[str]
    denied: frozenset[str]

    def admits(self, identities: frozenset[str]) -> bool:
        return not identities.isdisjoint(self.readers) and identities.isdisjoint(self.denied)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    number: int
    items: Mapping[str, Item] = field(default_factory=dict[str, Item])
    memberships: frozenset[tuple[str, str]] = frozenset()
    """Member and group."""

    @property
    def releases(self) -> list[str]:
        """What an administrator lets out while the platform is on its way to this state."""
        return sorted(path for path, item in self.items.items() if item.is_released)

    def shown(self, root: Path) -> dict[str, Shown]:
        found: dict[str, Shown] = {}
        for path, item in self.items.items():
            if not item.is_kept_back:
                audience = (frozenset(item.readers), frozenset(item.denied))
                uri = (root / path).as_uri()
                found |= {
                    each: Shown(texts, *audience)
                    for each, texts in _texts_of(uri, item.body, is_released=item.is_released)
                }
        return found

    def identities(self, user: str) -> frozenset[str]:
        """The user's own, everyone's, and the groups they are in through however many others."""
        found = {user, "everyone"}
        while more := {group for one, group in self.memberships if one in found} - found:
            found |= more
        return frozenset(found)

    def seen_by(self, user: str, root: Path) -> dict[str, frozenset[str]]:
        identities = self.identities(user)
        return {
            uri: shown.texts for uri, shown in self.shown(root).items() if shown.admits(identities)
        }


NOTHING = State(number=-1)


def states(seed: int, *, files: int) -> Iterator[State]:
    """Endlessly many, each a few changes from the one before."""
    rng = random.Random(seed)
    names = (f"file {number}.txt" for number in range(10**9))
    items: dict[str, Item] = {}
    for number in range(10**9):
        items = _changed(items, rng)
        _fill(items, rng, names, files=files)
        yield State(number=number, items=items, memberships=_memberships(rng))


def write(state: State, root: Path) -> None:
    """Make the folder what it is in `state`. A file's time follows from its content, so that
    what moved is known again, and two runs show the platform the same."""
    wanted = {root / path: item.written for path, item in state.items.items()}
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
        said = {
            Path(path).name: {"readers": list(item.readers), "deny": list(item.denied)}
            for path, item in state.items.items()
            if Path(path).parent == Path(folder)
        }
        access = json.dumps({"readers": [], "files": said})
        (root / folder / ".access.yaml").write_text(access)
    for path in root.rglob("*.txt"):
        if path not in wanted:
            path.unlink()
    for path, body in wanted.items():
        if not path.exists() or path.read_bytes() != body:
            path.write_bytes(body)
            seconds = 1_600_000_000 + int(hashlib.sha256(body).hexdigest()[:6], 16)
            os.utime(path, (seconds, seconds))


# --- how a state follows from the last --------------------------------------------------------------


def _changed(items: Mapping[str, Item], rng: random.Random) -> dict[str, Item]:
    left: dict[str, Item] = {}
    for path, item in sorted(items.items()):
        what = _choice(item, rng)
        elsewhere = f"{rng.choice(_FOLDERS)}/{'copy of ' * (what == 'copy')}{Path(path).name}"
        is_free = elsewhere not in items and elsewhere not in left
        if what == "move" and is_free:
            left[elsewhere] = _maybe_regoverned(item, rng)
            continue
        if what == "copy" and is_free:
            left[elsewhere] = _regoverned(item, rng)
        if what != "delete":
            left[path] = _changed_item(item, what, rng)
    return left


def _changed_item(item: Item, what: str, rng: random.Random) -> Item:
    match what:
        case "edit":
            return _maybe_regoverned(_edited(item, rng), rng)
        case "access":
            return _regoverned(item, rng)
        case "leak":
            return replace(_edited(item, rng), body=(*_lines(item), _secret(item)))
        case "break":
            return replace(item, is_broken=True, edition=item.edition + 1)
        case "release":
            return replace(item, is_released=True)
        case _:
            return item


def _choice(item: Item, rng: random.Random) -> str:
    if item.is_kept_back:
        return rng.choice(("release", "release", "edit", "delete", "keep"))
    if item.is_broken:
        return rng.choice(("edit", "edit", "delete", "keep"))
    if item.is_released:
        return rng.choice(("edit", "access", "delete", "keep"))
    if item.is_box:
        return rng.choice(("edit", "edit", "edit", "access", "access", "move", "delete", "keep"))
    weights = {"keep": 8, "edit": 8, "access": 5, "move": 4, "delete": 2, "leak": 2, "break": 1,
               "copy": 1}  # fmt: skip
    return rng.choices(list(weights), list(weights.values()))[0]


def _fill(items: dict[str, Item], rng: random.Random, names: Iterator[str], *, files: int) -> None:
    """New files, some of them where others were before."""
    while len(items) < files:
        name = rng.choice((next(names), f"often {rng.randrange(9)}.txt"))
        path = f"{rng.choice(_FOLDERS)}/{name}"
        if path in items:
            continue
        as_box = sum(item.is_box for item in items.values()) < files // 6
        start = rng.randrange(10**6)
        body: Body = _new_box(start, rng, depth=2) if as_box else _new_lines(start, rng)
        items[path] = _regoverned(Item(body=body, readers=(), edition=start), rng)


def _edited(item: Item, rng: random.Random) -> Item:
    edition = item.edition + 1
    fine = {"is_broken": False, "is_released": False}
    if isinstance(item.body, Mapping):
        return replace(item, body=_edited_box(item.body, edition, rng), edition=edition, **fine)
    lines = [line for line in _lines(item) if AWS not in line]
    for _ in range(rng.randint(1, 2)):
        lines[rng.randrange(len(lines))] = _line(edition, rng)
    return replace(item, body=tuple(lines), edition=edition, **fine)


def _edited_box(box: Mapping[str, Body], edition: int, rng: random.Random) -> Mapping[str, Body]:
    held = dict(box)
    what = rng.choice(("gain", "lose", "change"))
    if what == "lose" and len(held) > 1:
        del held[rng.choice(sorted(held))]
    elif what == "change":
        name = rng.choice(sorted(held))
        inner = held[name]
        held[name] = (
            _edited_box(inner, edition, rng)
            if isinstance(inner, Mapping)
            else (*inner[1:], _line(edition, rng))
        )
    else:
        held[f"part {edition}.txt"] = _new_lines(edition, rng)
    return held


def _regoverned(item: Item, rng: random.Random) -> Item:
    return replace(item, readers=rng.choice(_READERS), denied=rng.choice(_DENIED))


def _maybe_regoverned(item: Item, rng: random.Random) -> Item:
    return _regoverned(item, rng) if rng.random() < 0.3 else item


def _memberships(rng: random.Random) -> frozenset[tuple[str, str]]:
    *members, _outsider = USERS
    edges = {(one, group) for one in members for group in GROUPS if rng.random() < 0.35}
    nested = {(one, "group:staff") for one in GROUPS[:3] if rng.random() < 0.5}
    circle = {("group:staff", "group:legal")} if rng.random() < 0.2 else set[tuple[str, str]]()
    return frozenset(edges | nested | circle)


# --- bodies -----------------------------------------------------------------------------------------


def _lines(item: Item) -> tuple[str, ...]:
    assert not isinstance(item.body, Mapping)
    return item.body


def _line(edition: int, rng: random.Random) -> str:
    what = rng.choice(("pump", "valve", "press", "mill"))
    return f"The {what} of hall {rng.randrange(10**9)} was looked at in edition {edition}."


def _secret(item: Item) -> str:
    return f"The key of edition {item.edition + 1} is {AWS}."


def _new_lines(edition: int, rng: random.Random) -> tuple[str, ...]:
    return tuple(_line(edition, rng) for _ in range(rng.randint(2, 6)))


def _new_box(edition: int, rng: random.Random, *, depth: int) -> Mapping[str, Body]:
    box: dict[str, Body] = {
        f"part {number}.txt": _new_lines(edition, rng) for number in range(rng.randint(1, 3))
    }
    if depth > 1:
        box["inner box.txt"] = _new_box(edition, rng, depth=depth - 1)
    return box


def _leaks(body: Body) -> bool:
    return not isinstance(body, Mapping) and any(AWS in line for line in body)


def _packed(body: Body, edition: int) -> bytes:
    if isinstance(body, Mapping):
        return json.dumps(_plain(body)).encode()
    return "\n".join((f"edition: {edition}", *body)).encode()


def _plain(body: Body) -> Any:
    if isinstance(body, Mapping):
        return {name: _plain(held) for name, held in body.items()}
    return "\n".join(body)


def _texts_of(uri: str, body: Body, *, is_released: bool) -> list[tuple[str, frozenset[str]]]:
    if not isinstance(body, Mapping):
        return [(uri, frozenset(body))]
    found = [(uri, frozenset({f"A box of {len(body)}"}))]
    for name, held in body.items():
        found += _texts_of(member_uri(uri, name), held, is_released=is_released)
    return found


def first(seed: int, number: int, *, files: int) -> Sequence[State]:
    """The first `number` states, each of about so many files."""
    every = states(seed, files=files)
    return [next(every) for _ in range(number)]
