"""Whether a new version of a prompt may be kept: checked before anything is stored."""

import re

from rag.errors import InvalidRequest, NotFound
from rag.prompts.registry import VARIABLES
from rag.prompts.versions import PLACEHOLDER, Content, Variant

MAX_SECTION_CHARACTERS = 20_000
_LOCALE = re.compile(r"[a-z]{2}")
_AUDIENCE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_NAMED_AT_ONCE = re.compile(r"[^\n{]{0,40}\{\{marker\}\}")
_BRACES = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")


def variables_of(name: str) -> dict[str, str]:
    """What the platform fills into this prompt, and what each is. Raises `NotFound`."""
    if name not in VARIABLES:
        raise NotFound(f"there is no prompt {name}: those that are asked for are {_listed()}")
    return {"marker": "unguessable, new for every message", **VARIABLES[name]}


def check_draft(name: str, content: Content) -> None:
    """Raises `InvalidRequest` with all that is amiss, and `NotFound` for a name nobody asks for."""
    expected = frozenset(variables_of(name))
    amiss = [fault for variant in content.variants for fault in _faults_of(variant, expected)]
    kinds = [(variant.locale, variant.audience) for variant in content.variants]
    if not kinds or kinds[0] != ("", ""):
        amiss.append("the first variant must be for any locale and audience")
    amiss += [f"two variants are for {_kind(kind)}" for kind in set(kinds) if kinds.count(kind) > 1]
    if not 0 <= content.parameters.temperature <= 2:
        amiss.append("temperature must be between 0 and 2")
    if not 1 <= content.parameters.max_output_tokens <= 32_768:
        amiss.append("max_output_tokens must be between 1 and 32768")
    if amiss:
        raise InvalidRequest("; ".join(amiss))


def _faults_of(variant: Variant, expected: frozenset[str]) -> list[str]:
    where = _kind((variant.locale, variant.audience))
    sections = {
        "SYSTEM": variant.system,
        "CONTEXT": variant.context,
        "INSTRUCTION": variant.instruction,
        "FORMAT": variant.format,
    }
    faults: list[str] = []
    for section, text in sections.items():
        if not text.strip():
            faults.append(f"{section} of the variant for {where} is empty")
        if len(text) > MAX_SECTION_CHARACTERS:
            faults.append(
                f"{section} of the variant for {where} has over {MAX_SECTION_CHARACTERS} characters"
            )
        if _BRACES.search(PLACEHOLDER.sub("", text)):
            faults.append(
                f"{section} of the variant for {where} has braces that are no placeholder:"
                " prompts are filled in and never run"
            )
    # They are the prefix that providers remember, and evidence must never be in it.
    faults += [
        f"{section} of the variant for {where} must hold no placeholder"
        for section in ("SYSTEM", "FORMAT")
        if PLACEHOLDER.search(sections[section])
    ]
    if not _NAMED_AT_ONCE.match(variant.context):
        # Masking knows the marker by that, and leaves it as it is.
        faults.append(f"CONTEXT of the variant for {where} must begin by naming {{{{marker}}}}")
    found = variant.placeholders
    faults += [f"{{{{{each}}}}} is missing for {where}" for each in sorted(expected - found)]
    faults += [f"nobody fills in {{{{{each}}}}}" for each in sorted(found - expected)]
    if variant.locale and not _LOCALE.fullmatch(variant.locale):
        faults.append(f"{variant.locale!r} is no locale: two letters, such as de")
    if variant.audience and not _AUDIENCE.fullmatch(variant.audience):
        faults.append(f"{variant.audience!r} is no audience: lower-case letters, such as staff")
    return faults + _unfenced(variant, where, expected)


def _unfenced(variant: Variant, where: str, expected: frozenset[str]) -> list[str]:
    """What comes from documents and people must stand alone, right between two marked lines."""
    body = f"{variant.context}\n\n{variant.instruction}"
    return [
        f"{{{{{each}}}}} of the variant for {where} must stand alone on a line between two lines"
        " that contain {{marker}}"
        for each in sorted(expected - {"marker", "criterion"})
        if f"{{{{{each}}}}}" in body and not _is_fenced(each, body.splitlines())
    ]


def _is_fenced(name: str, lines: list[str]) -> bool:
    placeholder = f"{{{{{name}}}}}"
    places = [number for number, line in enumerate(lines) if placeholder in line]
    return all(
        lines[place].strip() == placeholder
        and place > 0
        and "{{marker}}" in lines[place - 1]
        and "{{marker}}" in "".join(lines[place + 1 : place + 2])
        for place in places
    )


def _kind(kind: tuple[str, str]) -> str:
    locale, audience = kind
    return " and ".join(part for part in (locale or "any locale", audience or "anyone") if part)


def _listed() -> str:
    return ", ".join(sorted(VARIABLES))
