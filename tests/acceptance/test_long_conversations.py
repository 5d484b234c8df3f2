"""A conversation that outgrows what a model is shown of it: its older turns are summed up after an
answer, in few words of a model's, and follow-ups are understood by them."""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import select

from rag.access import Principal, PrincipalId
from rag.conversation.turns import ConversationId
from rag.storage.tables import SummaryRow
from tests.acceptance.houses import MAIL, QUESTION, TENANT, TRUE, House, house
from tests.scripted_upstream import Counts, Says, Status

SHORT = {"conversations": {"history_tokens": 60, "rewrite_deadline_s": 60}}
"""One turn is more than is shown whole."""
SUMMARY = "The pump seal of the AP-450X is replaced every 12 months, as was said before."
TOLD = f"{SUMMARY} Nobody knows of the 4,711 others."
FOLLOW_UP = "And how often is it replaced?"
ADA = Principal(TENANT, PrincipalId("user:ada"))


async def ask(each: House, headers: dict[str, str], question: str, within: str) -> dict[str, Any]:
    body = {
        "question": question,
        "stream": False,
        "quality": "fast",
        "conversation_id": within,
    }
    answer = (await each.http.post("/v1/ask", json=body, headers=headers)).json()
    await each.platform.background.idle()
    return answer


async def entries(each: House, action: str) -> list[dict[str, Any]]:
    path = f"/v1/admin/audit?action={action}"
    return (await each.http.get(path, headers=each.operator)).json()["entries"]


def shown_to(body: dict[str, Any]) -> str:
    return json.dumps(body["messages"], ensure_ascii=False)


async def test_older_turns_are_summed_up_by_the_cheap_model_and_tell_what_a_follow_up_means(
    furnished: Path,
) -> None:
    says = (Says(TRUE), Says(TOLD, Counts(prompt=100, completion=10)), Says(QUESTION), Says(TRUE))
    async with house(furnished, *says, settings=SHORT) as each:
        ada = await each.key("user:ada")
        first = await ask(each, ada, f"{QUESTION} Anna Berger ({MAIL}) asks.", "new")
        mine = first["conversation_id"]
        kept = (await each.http.get(f"/v1/conversations/{mine}", headers=ada)).json()
        assert kept["summary"] == SUMMARY
        assert each.upstream.calls == 2
        assert each.upstream.asked[1]["model"] == "small"
        assert "summarise the older part" in shown_to(each.upstream.asked[1])

        second = await ask(each, ada, FOLLOW_UP, mine)
        assert second["kind"] == "answer"
        rewriting, answering = each.upstream.asked[2:4]
        assert "as was said before" in shown_to(rewriting)
        assert "as was said before" not in shown_to(answering)
        for value in (MAIL, "Berger"):
            assert value not in each.sent

        summed_up = (await entries(each, "summarise"))[-1]
        assert (summed_up["decision"], summed_up["principal"]) == ("done", "user:ada")
        assert summed_up["answer"] == SUMMARY
        assert summed_up["cost_micros"] == 120
        assert (await entries(each, "ask"))[0]["versions"]["recalled"] == "summary"
        path = "/v1/admin/usage?group_by=use_case"
        rows = (await each.http.get(path, headers=each.operator)).json()["rows"]
        used = {row["by"]["use_case"]: row for row in rows}
        assert (used["summarise"]["calls"], used["summarise"]["requests"]) == (2, 0)
        assert used["ask"]["requests"] == 2


async def test_where_a_budget_refuses_it_sentences_are_chosen_and_the_audit_says_so(
    furnished: Path,
) -> None:
    async with house(furnished, Says(TRUE), settings=SHORT) as each:
        budget = {"level": "tenant", "window": "day", "use_case": "summarise", "tokens": 1}
        set_ = await each.http.put("/v1/admin/budgets", json=budget, headers=each.operator)
        assert set_.status_code == 200, set_.text
        ada = await each.key("user:ada")
        mine = (await ask(each, ada, QUESTION, "new"))["conversation_id"]
        assert each.upstream.calls == 1
        each.upstream.plays(Says(QUESTION), Says(TRUE))
        assert (await ask(each, ada, FOLLOW_UP, mine))["kind"] == "answer"
        assert "is replaced every 12 months" in shown_to(each.upstream.asked[1])
        told = [entry["decision"] for entry in await entries(each, "summarise")]
        assert told == ["left_out:over_budget"] * 2
        assert (await entries(each, "ask"))[0]["versions"]["recalled"] == "extract"


async def test_where_no_model_answers_the_conversation_goes_on_without_a_summary(
    furnished: Path,
) -> None:
    async with house(furnished, Status(500), settings=SHORT) as each:
        ada = await each.key("user:ada")
        mine = (await ask(each, ada, QUESTION, "new"))["conversation_id"]
        assert (await ask(each, ada, FOLLOW_UP, mine))["kind"] == "answer"
        kept = (await each.http.get(f"/v1/conversations/{mine}", headers=ada)).json()
        assert (len(kept["turns"]), kept["summary"]) == (2, "")
        assert {entry["decision"] for entry in await entries(each, "summarise")} == {
            "left_out:no_model"
        }


async def test_a_summary_is_its_owners_and_goes_with_the_conversation(furnished: Path) -> None:
    says = (Says(TRUE), Says(SUMMARY))
    async with house(furnished, *says, settings=SHORT) as each:
        ada, bob = await each.key("user:ada"), await each.key("user:bob")
        mine = (await ask(each, ada, QUESTION, "new"))["conversation_id"]
        path = f"/v1/conversations/{mine}"
        assert (await each.http.get(path, headers=bob)).status_code == 404
        history = await each.platform.conversations.history(ConversationId(mine), ADA)
        assert history.summary is not None
        assert (await each.http.delete(path, headers=ada)).status_code == 204
        rows = await each.platform.database.rows(select(SummaryRow.conversation))
        assert rows == []


async def test_it_can_be_turned_off(furnished: Path) -> None:
    off = {"conversations": SHORT["conversations"] | {"summaries": False}}
    async with house(furnished, Says(TRUE), settings=off) as each:
        await ask(each, await each.key("user:ada"), QUESTION, "new")
        assert each.upstream.calls == 1
        assert await entries(each, "summarise") == []
