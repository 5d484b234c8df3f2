"""Conversations over HTTP: what follows on what, for its owner and for nobody else."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from api.conversations import keep_turn, open_conversations
from api.permissions import Permission
from api.settings_gateway import ConversationSettings
from rag.access import Principal, PrincipalId
from rag.asking import NO_EVIDENCE
from rag.conversation.turns import ConversationId
from rag.errors import NotFound
from rag.storage.database import Database
from rag.storage.tables import ConversationRow
from rag.types import Refusal, RefusalReason
from tests.api.platform import ACME, OTHER, Site, open_site
from tests.api.test_asking import events_of
from tests.asking import asked

STAFF = "Staff have 30 days of leave."
APPRENTICES = "Apprentices have 32 days of leave."
FIRST = "How many days of leave do staff have?"
AND_THEN = "And for apprentices?"
ANNA = Principal(ACME, PrincipalId("user:anna"))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_site(tmp_path, reply=f"{STAFF} [1] {APPRENTICES} [1]") as running:
        await running.publish("file:///staff.txt", STAFF, readers=["user:anna"])
        await running.publish("file:///trainees.txt", APPRENTICES, readers=["user:anna"])
        yield running


async def ask(site: Site, headers: dict[str, str], question: str, **fields: Any) -> dict[str, Any]:
    sent = {"question": question, **fields}
    response = await site.http.post("/v1/ask", json=sent, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_follow_up_is_answered_as_what_it_means_in_its_conversation(site: Site) -> None:
    anna = await site.key("user:anna")
    first = await ask(site, anna, FIRST, conversation_id="new")
    mine = first["conversation_id"]
    second = await ask(site, anna, AND_THEN, conversation_id=mine)
    assert second["kind"] == "answer"
    assert second["conversation_id"] == mine
    assert "leave" in site.model.prompts[-1].question
    shown = (await site.http.get(f"/v1/conversations/{mine}", headers=anna)).json()
    assert [turn["question"] for turn in shown["turns"]] == [FIRST, AND_THEN]
    assert shown["turns"][0]["standalone"] == FIRST
    assert "leave" in shown["turns"][1]["standalone"]
    assert shown["turns"][1]["answer"] == second["text"]


async def test_without_a_conversation_nothing_is_recalled_or_kept(site: Site) -> None:
    anna = await site.key("user:anna")
    answer = await ask(site, anna, FIRST)
    assert "conversation_id" not in answer
    await ask(site, anna, AND_THEN)
    assert site.model.prompts[-1].question == AND_THEN
    assert await site.platform.conversations.forget_all_of(ANNA) == 0


async def test_a_stream_ends_with_the_conversation_and_keeps_the_turn(site: Site) -> None:
    anna = await site.key("user:anna")
    begun = await site.http.post("/v1/conversations", headers=anna)
    assert begun.status_code == 201
    mine = begun.json()["conversation_id"]
    sent = {"question": FIRST, "conversation_id": mine, "stream": True}
    response = await site.http.post("/v1/ask", json=sent, headers=anna)
    name, done = events_of(response.text)[-1]
    assert (name, done["conversation_id"]) == ("done", mine)
    shown = (await site.http.get(f"/v1/conversations/{mine}", headers=anna)).json()
    assert [turn["answer"] for turn in shown["turns"]] == [done["text"]]


async def test_somebody_elses_conversation_is_not_there(site: Site) -> None:
    anna = await site.key("user:anna")
    mine = (await ask(site, anna, FIRST, conversation_id="new"))["conversation_id"]
    strangers = [await site.key("user:bob"), await site.key("user:anna", tenant=OTHER)]
    trace = {"X-Request-ID": "the-same-trace"}
    for stranger in strangers:
        for method in ("GET", "DELETE"):
            hidden, absent = [
                await site.http.request(
                    method, f"/v1/conversations/{each}", headers=stranger | trace
                )
                for each in (mine, "0" * 32)
            ]
            assert hidden.status_code == absent.status_code == 404
            assert hidden.content == absent.content
        for stream in (False, True):
            hidden, absent = [
                await site.http.post(
                    "/v1/ask",
                    json={"question": AND_THEN, "conversation_id": each, "stream": stream},
                    headers=stranger | trace,
                )
                for each in (mine, "0" * 32)
            ]
            assert hidden.status_code == absent.status_code == 404
            assert hidden.content == absent.content
    assert len(await site.platform.conversations.turns(ConversationId(mine), ANNA)) == 1


async def test_what_was_answered_once_is_not_cited_again_when_it_may_not_be_read(
    site: Site,
) -> None:
    anna = await site.key("user:anna")
    mine = (await ask(site, anna, FIRST, conversation_id="new"))["conversation_id"]
    await site.publish("file:///staff.txt", STAFF, readers=["user:bob"])
    await site.publish("file:///trainees.txt", APPRENTICES, readers=["user:bob"])
    again = await ask(site, anna, "Is that so?", conversation_id=mine)
    assert (again["kind"], again["reason"]) == ("refusal", "no_evidence")


async def test_a_refusal_is_kept_as_one(site: Site) -> None:
    bob = await site.key("user:bob")
    refused = await ask(site, bob, FIRST, conversation_id="new")
    assert refused["kind"] == "refusal"
    mine = refused["conversation_id"]
    shown = (await site.http.get(f"/v1/conversations/{mine}", headers=bob)).json()
    assert [(turn["question"], turn["answer"]) for turn in shown["turns"]] == [(FIRST, "")]


async def test_what_was_blocked_is_not_kept(site: Site) -> None:
    conversations = site.platform.conversations
    mine = await conversations.begin(ANNA)
    blocked = Refusal(RefusalReason.BLOCKED, "no")
    await keep_turn(conversations, replace(asked("Shout!", ANNA), conversation=mine), blocked)
    assert await conversations.turns(mine, ANNA) == ()


async def test_an_answer_stands_though_its_conversation_was_forgotten_meanwhile(
    site: Site,
) -> None:
    conversations = site.platform.conversations
    mine = await conversations.begin(ANNA)
    await conversations.forget(mine, ANNA)
    await keep_turn(conversations, replace(asked(FIRST, ANNA), conversation=mine), NO_EVIDENCE)
    with pytest.raises(NotFound):
        await conversations.turns(mine, ANNA)


async def test_personal_data_is_not_kept(site: Site) -> None:
    anna = await site.key("user:anna")
    question = "How many days of leave has eve.muster@example.com?"
    mine = (await ask(site, anna, question, conversation_id="new"))["conversation_id"]
    shown = await site.http.get(f"/v1/conversations/{mine}", headers=anna)
    assert "How many days of leave" in shown.text
    assert "eve.muster" not in shown.text


async def test_its_owner_may_delete_it(site: Site) -> None:
    anna = await site.key("user:anna")
    mine = (await ask(site, anna, FIRST, conversation_id="new"))["conversation_id"]
    path = f"/v1/conversations/{mine}"
    assert (await site.http.delete(path, headers=anna)).status_code == 204
    assert (await site.http.get(path, headers=anna)).status_code == 404


async def test_a_person_who_is_erased_from_the_audit_has_no_conversations_any_more(
    site: Site,
) -> None:
    anna = await site.key("user:anna")
    begun = await site.http.post("/v1/conversations", headers=anna)
    auditor = await site.key("user:auditor", permissions=[Permission.AUDIT])
    path = "/v1/admin/audit/persons/user:anna"
    assert (await site.http.delete(path, headers=auditor)).status_code == 204
    mine = begun.json()["conversation_id"]
    assert (await site.http.get(f"/v1/conversations/{mine}", headers=anna)).status_code == 404


@pytest.mark.parametrize("wanted", ["", "old", "0" * 31, "../x", "\x00" * 32])
async def test_what_cannot_be_an_id_is_said_to_be_none(site: Site, wanted: str) -> None:
    anna = await site.key("user:anna")
    sent = {"question": FIRST, "conversation_id": wanted}
    assert (await site.http.post("/v1/ask", json=sent, headers=anna)).status_code == 422


async def test_what_nobody_uses_is_forgotten_without_being_asked_for(database: Database) -> None:
    short = ConversationSettings(kept_days=1e-9)
    async with open_conversations(short, database) as conversations:
        mine = await conversations.begin(ANNA)
        with pytest.raises(NotFound):
            await conversations.turns(mine, ANNA)
    async with open_conversations(short, database), asyncio.timeout(30):
        while await conversations_in(database):  # noqa: ASYNC110 - a row tells nobody that it went
            await asyncio.sleep(0.01)


async def conversations_in(database: Database) -> int:
    async with database.reading() as connection:
        counted = await connection.execute(select(func.count()).select_from(ConversationRow))
    return counted.scalar_one()
