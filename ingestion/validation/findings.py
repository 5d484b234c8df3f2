"""What the checks found, as metadata of the document: flags and counts, never a value."""

from collections.abc import Mapping
from types import MappingProxyType

from rag.types import Metadata, MetadataValue

FLAGS = "flags"
MASKED = "masked"
_COUNTED = ("pii_", "secret_")


def is_finding(name: str) -> bool:
    """Whether the metadata field `name` is the checks' own, whoever else claims it."""
    return name == FLAGS or name.startswith(_COUNTED)


def findings_of(metadata: Metadata) -> Metadata:
    return {name: value for name, value in metadata.items() if is_finding(name)}


def with_findings(metadata: Metadata, *, flags: set[str], counts: Mapping[str, int]) -> Metadata:
    """`metadata` with what was found; what a file claims to have been found in it is dropped."""
    described: dict[str, MetadataValue] = {
        name: value for name, value in metadata.items() if not is_finding(name)
    }
    described |= {name: count for name, count in counts.items() if name.startswith(_COUNTED)}
    if flags:
        described[FLAGS] = ",".join(sorted(flags))
    return MappingProxyType(described)


def is_masked(metadata: Metadata) -> bool:
    """Whether placeholders stand in the document's text for what its readers are not to see."""
    return MASKED in str(metadata.get(FLAGS, "")).split(",")
