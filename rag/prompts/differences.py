"""A version as text, and what differs between two of them."""

from difflib import unified_diff

from rag.prompts.versions import PromptVersion, Variant


def text_of(version: PromptVersion) -> str:
    """All of its content: a version of one variant reads as its file does."""
    parameters = version.content.parameters
    head = (
        f"temperature: {parameters.temperature:g}\n"
        f"max_output_tokens: {parameters.max_output_tokens}\n"
    )
    return head + "".join(map(_text_of_variant, version.content.variants))


def difference(before: PromptVersion, after: PromptVersion) -> list[str]:
    """The lines of a unified diff; none where the contents are equal."""
    return list(
        unified_diff(
            text_of(before).splitlines(),
            text_of(after).splitlines(),
            before.key,
            after.key,
            lineterm="",
        )
    )


def _text_of_variant(variant: Variant) -> str:
    kind = " ".join(
        f"{name}={value}"
        for name, value in (("locale", variant.locale), ("audience", variant.audience))
        if value
    )
    sections = (
        ("SYSTEM", variant.system),
        ("CONTEXT", variant.context),
        ("INSTRUCTION", variant.instruction),
        ("FORMAT", variant.format),
    )
    above = f"\n--- {kind} ---\n" if kind else ""
    return above + "".join(f"\n# {name}\n\n{text}\n" for name, text in sections)
