"""YAML without what hides a mistake: a key given twice, an alias, a merge."""

from collections.abc import Hashable
from typing import cast

import yaml

from rag.errors import ParseError


def parse_yaml(content: bytes) -> object:
    """What `content` says; None where it says nothing. Raises `ParseError`, with the line."""
    try:
        return cast("object", yaml.load(content.decode("utf-8-sig"), Loader=_StrictLoader))  # noqa: S506 - a SafeLoader
    except UnicodeDecodeError as error:
        raise ParseError("it is not UTF-8 text") from error
    except yaml.YAMLError as error:
        raise ParseError(f"it is not valid YAML: {_place_of(error)}") from error
    except (ValueError, RecursionError) as error:  # 2026-02-31, or nested too deep
        raise ParseError("it holds a value that cannot be read") from error


def _place_of(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem} on line {error.problem_mark.line + 1}"
    return str(error).splitlines()[0]


class _StrictLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):  # pyright: ignore[reportUnknownMemberType]
            event = self.peek_event()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            mark = cast("yaml.Event", event).start_mark
            raise yaml.MarkedYAMLError(problem="an alias is not allowed", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - PyYAML's signature
    ) -> dict[Hashable, object]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                name = cast("str", key.value)
                if name in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key {name!r} stands twice", problem_mark=key.start_mark
                    )
                seen.add(name)
        return super().construct_mapping(node, deep)
