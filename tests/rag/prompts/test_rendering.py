"""Every prompt that the platform asks for, filled in: what is data stays data."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ConfigurationError, InvalidRequest, NotFound
from rag.prompts.differences import difference, text_of
from rag.prompts.drafts import check_draft, variables_of
from rag.prompts.registry import (
    SHIPPED,
    VARIABLES,
    load_prompt,
    load_version,
    new_canary,
    parse_prompt,
    render_values,
    shipped_versions,
)
from rag.prompts.versions import (
    Content,
    Parameters,
    PromptVersion,
    Variant,
    content_of_json,
    json_of_content,
)
from tests.rag.prompts.values import content, variant

NAMES = sorted(VARIABLES)
TRICKY = st.lists(
    st.sampled_from([*"{}<>%#\n a", "{{marker}}", "{{question}}", "{{text}}", "<<<"]), max_size=30
).map("".join)


@pytest.mark.parametrize("name", NAMES)
def test_what_serves_may_be_kept_as_a_draft_too(name: str) -> None:
    check_draft(name, load_version(name, SHIPPED[name]).content)


@given(data=st.data(), name=st.sampled_from(NAMES))
def test_what_is_filled_in_comes_out_word_for_word(data: st.DataObject, name: str) -> None:
    """Whatever stands in it: placeholders, braces, marks that look like ours."""
    prompt = load_prompt(name, SHIPPED[name])
    values = {variable: data.draw(TRICKY, label=variable) for variable in VARIABLES[name]}
    system, user = render_values(prompt, values)
    body = f"{prompt.context}\n\n{prompt.instruction}"
    [marker] = set(re.findall(r"marker is ([0-9a-f]{16})\.", user.content.partition("\n")[0]))
    expected = re.split(r"\{\{(\w+)\}\}", body)
    filled = {**values, "marker": marker}
    expected[1::2] = [filled[variable] for variable in expected[1::2]]
    assert user.content == "".join(expected)
    assert system.content == f"{prompt.system}\n\n{prompt.format}"


@pytest.mark.parametrize("name", NAMES)
def test_the_system_message_is_the_same_for_every_question_of_a_process(name: str) -> None:
    prompt, canary = load_prompt(name, SHIPPED[name]), new_canary()
    first, second = (
        render_values(prompt, dict.fromkeys(VARIABLES[name], text), canary=canary)
        for text in ("One.", "Two.")
    )
    assert first[0] == second[0]
    assert canary in first[0].content
    assert canary not in first[1].content
    assert first[1] != second[1]


def test_no_two_processes_have_one_canary() -> None:
    assert len({new_canary() for _ in range(100)}) == 100


# --- drafts ------------------------------------------------------------------------------------


def changed(**sections: str) -> Content:
    told = json_of_content(content())
    told["variants"][0] |= sections
    return content_of_json(told)


WHOLE = variant()


@pytest.mark.parametrize(
    ("draft", "told"),
    [
        (changed(system="You help. {{question}}"), "SYSTEM .* must hold no placeholder"),
        (changed(format="{{marker}}"), "FORMAT .* must hold no placeholder"),
        (changed(format=" "), "FORMAT .* is empty"),
        (changed(format="x" * 20_001), "over 20000 characters"),
        (changed(format="{% if x %}"), "never run"),
        (changed(format="{{ question }}"), "never run"),
        (changed(context=WHOLE.context.replace("{{evidence}}", "")), "{{evidence}} is missing"),
        (changed(context=WHOLE.context + "{{user}}"), "nobody fills in {{user}}"),
        (changed(instruction="{{marker}} Answer {{question}} now. {{marker}}"), "stand alone"),
        (changed(instruction="{{question}}"), "between two lines"),
        (changed(context=f"Here you are.\n{WHOLE.context}"), "must begin by naming {{marker}}"),
        (changed(locale="de"), "the first variant must be for any"),
        (content("Any.", variant("One."), variant("Two.")), "two variants"),
        (content("Any.", variant("One.", locale="german")), "no locale"),
        (content("Any.", variant("One.", audience="All Staff")), "no audience"),
        (Content(variants=()), "the first variant"),
        (Content(variants=(WHOLE,), parameters=Parameters(temperature=3)), "temperature"),
        (Content(variants=(WHOLE,), parameters=Parameters(max_output_tokens=0)), "max_output"),
    ],
)
def test_a_draft_that_would_do_harm_is_refused(draft: Content, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told.replace("{", r"\{")):
        check_draft("answer", draft)


def test_a_prompt_that_nobody_asks_for_cannot_be_written() -> None:
    with pytest.raises(NotFound):
        check_draft("poem", content())
    with pytest.raises(NotFound):
        variables_of("poem")


# --- versions ----------------------------------------------------------------------------------

sections = st.builds(
    Variant,
    system=st.text(),
    context=st.text(),
    instruction=st.text(),
    format=st.text(),
    locale=st.text(max_size=2),
    audience=st.text(max_size=5),
)


@given(st.lists(sections, max_size=3), st.floats(0, 2), st.integers(1, 1_000))
def test_contents_are_equal_exactly_when_their_digests_are(
    variants: list[Variant], temperature: float, tokens: int
) -> None:
    made = Content(
        variants=tuple(variants),
        parameters=Parameters(temperature=temperature, max_output_tokens=tokens),
    )
    assert content_of_json(json_of_content(made)) == made
    assert content_of_json(json_of_content(made)).digest == made.digest
    other = Content(variants=(*variants, WHOLE), parameters=made.parameters)
    assert other.digest != made.digest


def test_a_shipped_file_reads_as_its_text_shows_it() -> None:
    for version in shipped_versions():
        prompt = parse_prompt(text_of(version), name=version.name, version=version.version)
        assert prompt == version.prompt()
        assert version.rationale or version.version == "v1"


def test_only_what_differs_is_shown() -> None:
    old = PromptVersion(name="answer", version="own-1", content=content("Old."))
    german = variant("Neu.", locale="de", audience="staff")
    new = PromptVersion(name="answer", version="own-2", content=content("New.", german))
    assert difference(old, old) == []
    lines = difference(old, new)
    assert any(line.startswith("-") and line.endswith("Old.") for line in lines)
    assert any(line.startswith("+") and line.endswith("New.") for line in lines)
    assert "+--- locale=de audience=staff ---" in lines


@pytest.mark.parametrize("head", ["temprature: 1", "temperature: warm", "max_output_tokens: 1.5"])
def test_a_file_that_begins_with_something_unknown_is_refused(head: str) -> None:
    _, _, text = text_of(load_version("answer", "v2")).partition("\n\n")
    with pytest.raises(ConfigurationError, match="answer/v3"):
        parse_prompt(f"{head}\n{text}", name="answer", version="v3")
