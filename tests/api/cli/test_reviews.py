"""`rag reviews`, from a question that a guardrail flags to the decision about it."""

from pathlib import Path

from tests.api.cli.commands import CommandLine, Ran

FLAGGED = "Is this still good? password = 'hunter2-Xy77!'"


def _good(ran: Ran) -> Ran:
    assert ran.status == 0, ran.err
    return ran


async def test_a_flagged_question_is_listed_shown_and_decided(tmp_path: Path) -> None:
    rag = CommandLine(tmp_path / "data")
    _good(await rag.run("init"))
    async with rag.serving():
        asked = _good(await rag.run("ask", FLAGGED, "--as", "user:1")).out
        assert "Nothing that you may read answers" in asked, (
            "no guardrail stopped it: one flagged it"
        )

        [waiting] = _good(await rag.run("reviews", "list", "--json")).json["reviews"]
        assert (waiting["check"], waiting["direction"], waiting["state"]) == (
            "secrets",
            "input",
            "open",
        )
        review = waiting["review_id"]
        shown = _good(await rag.run("reviews", "show", review)).out
        assert "secrets flagged the input" in shown and "user:1" in shown
        assert "hunter2" not in shown

        decided = await rag.run("reviews", "decide", review, "confirmed", "--note", "Changed it.")
        assert _good(decided).out.startswith("confirmed by ")
        other = await rag.run("reviews", "decide", review, "dismissed")
        assert other.status != 0
        assert "already" in other.err
