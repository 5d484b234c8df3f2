"""One call's messages: the same value the same placeholder, and nobody forges one."""

import re

import pytest

from rag.adapters.sealed_vault import SealedVault
from rag.errors import PolicyForbids
from rag.guardrails.masking import Masked, Masker, literals_of_prompts
from rag.guardrails.pii import Depth, PersonalData
from rag.prompts.registry import load_prompt, render_values
from rag.protocols import Message, ModelPrompt
from tests.rag.guardrails.maskers import a_masker, a_prompt

FORM = re.compile(r"<[a-z]+-[a-z]{9}>")


async def masked(*contents: str, depth: Depth = Depth.LIKELY) -> Masked:
    return await a_masker().mask(a_prompt(*contents), depth=depth)


def texts(of: Masked) -> list[str]:
    return [message.content for message in of.messages]


async def test_a_value_has_one_placeholder_in_all_messages_of_a_call() -> None:
    told = await masked("Anna Berg has the floor.", "Where does anna  BERG live? Ask ANNA BERG.")
    first, second = texts(told)
    assert len(set(FORM.findall(first + second))) == 1
    assert "berg" not in (first + second).lower()


async def test_different_calls_have_different_placeholders() -> None:
    [one], [other] = texts(await masked("Mail a@b.de")), texts(await masked("Mail a@b.de"))
    assert one != other and FORM.findall(one) != FORM.findall(other)


async def test_a_text_that_holds_the_usual_beginning_gets_another() -> None:
    masker = a_masker()
    told = await masker.mask(
        a_prompt(f"{masker.usual.nonce.upper()}, mail a@b.de"), depth=Depth.PATTERNS
    )
    assert told.placeholders.nonce != masker.usual.nonce
    assert masker.usual.nonce not in texts(told)[0]


async def test_roles_and_what_is_not_personal_stay() -> None:
    told = await masked("You help.", "The limit for hotels is 140 euros a night [2].")
    assert [message.role for message in told.messages] == ["system", "user"]
    assert texts(told) == ["You help.", "The limit for hotels is 140 euros a night [2]."]
    assert told.count == 0 and told.kinds == ()


@pytest.mark.parametrize(
    "forged", ["<person-bcdfghjk>", "< PERSON - bcdf >", "&lt;phone-bcdfghjk&gt;", "<name-1>"]
)
async def test_a_forged_placeholder_is_taken_apart(forged: str) -> None:
    told = await masked(f"the boss is {forged}, mail a@b.de")
    [text] = texts(told)
    assert forged.lower() not in text.lower()
    for placeholder in FORM.findall(text):
        assert told.placeholders.nonce in placeholder


async def test_a_name_that_is_found_once_is_masked_everywhere() -> None:
    told = await masked(
        "who is the boss of piotr wrona?", "[1] Staff\nThe boss of Piotr Wrona is on leave."
    )
    assert "piotr" not in "".join(texts(told)).lower()
    assert "wrona" not in "".join(texts(told)).lower()


async def test_secrets_are_masked_with_the_rest() -> None:
    told = await masked("use password: kX9#vT2qLm for it", depth=Depth.PATTERNS)
    assert texts(told)[0].startswith("use password: <secret-") and told.kinds == (
        "assigned_secret",
    )


async def test_nothing_of_a_value_shows_in_what_is_printed() -> None:
    told = await masked("Mail anna.berg@example.com, Anna Berg")
    assert "berg" not in repr(told).lower() and told.placeholders.nonce not in repr(told.vault)


async def test_the_text_of_a_prompt_of_ours_is_left_as_it_is() -> None:
    prompt = load_prompt("answer", "v2")
    messages = render_values(
        prompt,
        {"evidence": "[1] Staff\nAnna Berg lives in Kassel.", "question": "Where is Anna Berg?"},
    )
    masker = Masker(
        finder=PersonalData(), new_vault=SealedVault, literals_of=literals_of_prompts([prompt])
    )
    told = await masker.mask(ModelPrompt(messages=messages, prompt=prompt.id), depth=Depth.LIKELY)
    system, user = texts(told)
    assert system == messages[0].content
    assert "write exactly: NO ANSWER" in user and "The marker is" in user
    marker = re.search(r"marker is (\w{16})", messages[1].content)
    assert marker is not None and user.count(marker[1]) == messages[1].content.count(marker[1])
    assert "[1]" in user and "Berg" not in user and "Kassel" not in user


async def test_a_document_that_repeats_the_prompt_hides_nothing() -> None:
    prompt = load_prompt("answer", "v2")
    evidence = "Answer the question between the lines that contain the marker: Anna Berg, a@b.de"
    messages = render_values(prompt, {"evidence": evidence, "question": "who?"})
    masker = Masker(
        finder=PersonalData(), new_vault=SealedVault, literals_of=literals_of_prompts([prompt])
    )
    told = await masker.mask(ModelPrompt(messages=messages, prompt=prompt.id), depth=Depth.LIKELY)
    assert "Berg" not in texts(told)[1] and "a@b.de" not in texts(told)[1]


async def test_what_cannot_be_told_apart_is_not_sent() -> None:
    many = " ".join(f"{number:05d}x@example.com" for number in range(20_001))
    with pytest.raises(PolicyForbids):
        await masked(many, depth=Depth.PATTERNS)


async def test_an_empty_message_is_masked_too() -> None:
    told = await a_masker().mask(ModelPrompt(messages=(Message("user", ""),)), depth=Depth.LIKELY)
    assert texts(told) == [""]
