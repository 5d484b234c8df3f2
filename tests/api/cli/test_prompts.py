"""`rag prompts`, from the first version of one's own to going back."""

from pathlib import Path

from rag.prompts.differences import text_of
from rag.prompts.registry import load_version
from tests.api.cli.commands import CommandLine, Ran

V2 = load_version("answer", "v2")


def _good(ran: Ran) -> Ran:
    assert ran.status == 0, ran.err
    return ran


async def test_a_version_is_made_promoted_by_force_and_rolled_back(tmp_path: Path) -> None:
    rag, file = CommandLine(tmp_path / "data"), tmp_path / "answer.md"
    file.write_text(f"rationale: shorter\n{text_of(V2)}\nBe very brief.\n")
    _good(await rag.run("init"))
    async with rag.serving():
        listed = _good(await rag.run("prompts", "list")).out
        assert V2.key in listed and "answer-strict/v1@" in listed

        tried = _good(await rag.run("prompts", "create", "answer", str(file), "--dry-run"))
        assert tried.out == "It could be a version.\n"
        made = _good(await rag.run("prompts", "create", "answer", str(file), "--json")).json
        assert (made["version"], made["rationale"]) == ("own-1", "shorter")
        told = _good(await rag.run("prompts", "diff", "answer", "v2", "own-1")).out
        assert "+Be very brief." in told.splitlines()
        whole = _good(await rag.run("prompts", "show", "answer", "own-1")).out
        assert "Be very brief." in whole

        refused = await rag.run("prompts", "promote", "answer", "own-1")
        assert refused.status == 1 and "no evaluation report" in refused.err
        why = ("--force", "--reason", "a demo")
        forced = _good(await rag.run("prompts", "promote", "answer", "own-1", *why)).out
        assert made["key"] in forced and "forced against" in forced
        back = _good(await rag.run("prompts", "rollback", "answer", "--reason", "worse")).out
        assert back.startswith(f"{made['key']} is gone") and V2.key in back
        shown = _good(await rag.run("prompts", "show", "answer")).out
        assert "rolled_back" in shown and "worse" in shown

        (tmp_path / "report.json").write_text("[]")
        report = ("prompts", "report", "answer", "own-1", str(tmp_path / "report.json"))
        wrong = await rag.run(*report)
        assert wrong.status == 1 and wrong.err.startswith("rag: ")


async def test_another_profile_is_tried_watched_and_stopped(tmp_path: Path) -> None:
    rag = CommandLine(tmp_path / "data")
    rollouts = ("prompts", "rollouts")
    _good(await rag.run("init"))
    async with rag.serving():
        canary = ("--plan", "canary", "--profile", "hits=30", "--profile", "rerank=false")
        begun = _good(await rag.run(*rollouts, "start", "answer", *canary, "--json")).json
        assert begun["candidate"] == {"settings": {"hits": 30, "rerank": False}}
        assert begun["share"] == 0.05
        number = str(begun["id"])
        listed = _good(await rag.run(*rollouts, "list", "answer", "--json")).json
        assert [each["id"] for each in listed] == [begun["id"]]
        shown = _good(await rag.run(*rollouts, "show", "answer", number)).out
        assert "runs since" in shown and "Neither is shown to be better." in shown

        stopped = _good(await rag.run(*rollouts, "stop", "answer", number, "--reason", "enough"))
        assert "enough" in stopped.out
        nothing = await rag.run(*rollouts, "start", "answer", "--plan", "ab")
        assert nothing.status == 1 and "version, model and profile" in nothing.err
