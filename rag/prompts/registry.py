"""Prompts as versioned files: loaded by name and version, filled in once, never run as templates."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from rag.errors import ConfigurationError
from rag.protocols import Message
from rag.types import Evidence

_SECTIONS = ("SYSTEM", "CONTEXT", "INSTRUCTION", "FORMAT")
_HEADING = re.compile(r"^# ([A-Z]+)\s*$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_PLACEHOLDERS = frozenset({"marker", "evidence", "question"})

NO_ANSWER = "NO ANSWER"
"""What a prompt tells a model to write where the passages do not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One version of a prompt, in its four sections."""

    name: str
    version: str
    digest: str
    """The first 8 hex digits of the file's sha256: an edited file is another prompt."""
    system: str
    context: str
    instruction: str
    format: str

    @property
    def id(self) -> str:
        """Name, version and content, as answers record it: `answer/v1@0f3c9a71`."""
        return f"{self.name}/{self.version}@{self.digest}"


def load_prompt(name: str, version: str) -> Prompt:
    """The shipped prompt file `name/version.md`. Raises `ConfigurationError`."""
    if not (_NAME.fullmatch(name) and _NAME.fullmatch(version)):
        raise ConfigurationError(f"no prompt can be called {name!r} in version {version!r}")
    try:
        text = files("rag.prompts").joinpath(name, f"{version}.md").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigurationError(f"there is no prompt {name}/{version}") from error
    return parse_prompt(text, name=name, version=version)


def parse_prompt(text: str, *, name: str, version: str) -> Prompt:
    """A prompt from its file's text. Raises `ConfigurationError` for a section or placeholder amiss."""
    _, *rest = _HEADING.split(text)
    sections = dict(zip(rest[::2], (body.strip() for body in rest[1::2]), strict=True))
    if tuple(sections) != _SECTIONS:
        raise ConfigurationError(f"prompt {name}/{version} has not the sections {_SECTIONS}")
    found = frozenset(str(match[1]) for match in _PLACEHOLDER.finditer(text))
    if found != _PLACEHOLDERS:
        raise ConfigurationError(
            f"prompt {name}/{version} has not exactly the placeholders {sorted(_PLACEHOLDERS)}"
        )
    return Prompt(
        name=name,
        version=version,
        digest=sha256(text.encode()).hexdigest()[:8],
        system=sections["SYSTEM"],
        context=sections["CONTEXT"],
        instruction=sections["INSTRUCTION"],
        format=sections["FORMAT"],
    )


def render(prompt: Prompt, question: str, evidence: Sequence[Evidence]) -> tuple[Message, ...]:
    """The messages for a model. What is filled in is never looked at for placeholders again."""
    shown = "\n\n".join(
        f"[{each.number}] {each.hit.chunk.header}\n{each.text}" for each in evidence
    )
    values = {
        "marker": unguessable_marker(f"{question}\n{shown}"),
        "evidence": shown,
        "question": question,
    }
    return (
        Message("system", _filled(f"{prompt.system}\n\n{prompt.format}", values)),
        Message("user", _filled(f"{prompt.context}\n\n{prompt.instruction}", values)),
    )


def unguessable_marker(text: str) -> str:
    """16 random hex digits that do not occur in `text`."""
    while (marker := secrets.token_hex(8)) in text:
        pass
    return marker


def _filled(template: str, values: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)
