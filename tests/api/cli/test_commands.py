"""`rag` as people and programs run it: real processes, a real platform."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Generator
from pathlib import Path

import pytest

from api.cli import main
from tests.api.cli.commands import CommandLine, Ran, ended, first_line


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Generator[CommandLine]:
    """A served data directory that holds a public and a private document."""
    folder = tmp_path_factory.mktemp("company")
    documents = folder / "documents"
    (documents / "private").mkdir(parents=True)
    (documents / "leave.md").write_text("# Leave\n\nFull-time staff get 26 days of paid leave.\n")
    (documents / "private" / "pay.md").write_text("# Pay\n\nGrade G6 is paid 54900 GBP a year.\n")
    (documents / "private" / ".access.yaml").write_text("readers: [group:hr]\n")
    rag = CommandLine(folder / "data")
    _good(asyncio.run(rag.run("init")))
    with rag.in_the_background("serve", "--port", "0"):
        _good(asyncio.run(rag.run("ingest", str(documents), "--readers", "everyone")))
        yield rag


@pytest.fixture(scope="module")
def unserved(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A data directory that is set up and holds nothing."""
    rag = CommandLine(tmp_path_factory.mktemp("unserved") / "data")
    _good(asyncio.run(rag.run("init")))
    return rag


def _good(ran: Ran) -> Ran:
    assert ran.status == 0, ran.err
    return ran


def _is_one_clear_line(ran: Ran) -> bool:
    return ran.status != 0 and ran.err.startswith("rag: ") and ran.err.count("\n") == 1


async def test_everything_that_a_first_day_needs(company: CommandLine, tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "seals.md").write_text("# Seals\n\nThe AP-300 takes seal SEAL-12-B.\x1b[2J\n")
    (documents / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    first = _good(
        await company.run("ingest", str(documents), "--readers", "group:service", "--json")
    ).json
    assert (first["listed"], first["done"], first["failed"]) == (2, 1, 1)
    assert first["failures"][0]["uri"].endswith("broken.pdf")
    assert first["failures"][0]["reason"]

    again = _good(await company.run("ingest", str(documents)))
    assert again.out.startswith("Nothing changed.")

    found = _good(
        await company.run("search", "AP-300 seal", "--as", "7", "--groups", "service", "--json")
    ).json
    assert found["hits"][0]["title"] == "Seals"
    hidden = _good(await company.run("search", "AP-300 seal", "--as", "7", "--json")).json
    assert "Seals" not in {hit["title"] for hit in hidden["hits"]}

    shown = _good(
        await company.run("search", "seal", "--as", "7", "--groups", "service", "--explain")
    )
    assert "SEAL-12-B" in shown.out and "\x1b" not in shown.out

    failed = _good(await company.run("jobs", "list", "--state", "failed", "--json")).json
    retried = await company.run("jobs", "retry", failed["jobs"][0]["id"], "--json")
    assert (retried.status, retried.json["state"]) == (1, "failed")

    document = found["hits"][0]["document_id"]
    why = _good(
        await company.run("access", "explain", "7", document, "--groups", "service", "--json")
    ).json
    assert why["readable"] and why["clauses"][0]["held"] == ["group:service"]

    connector = first["connector"]
    planned = _good(
        await company.run("reindex", "--connector", connector, "--dry-run", "--json")
    ).json
    assert planned["dry_run"] and planned["job_ids"] == []
    sheets = _good(
        await company.run("reindex", "--filter", "document_type=xlsx", "--dry-run", "--json")
    ).json
    assert sheets["documents"] < planned["documents"]
    put_back = _good(await company.run("reindex", "--connector", connector, "--from-ledger"))
    assert put_back.out.startswith("Looked through")
    removed = _good(await company.run("connectors", "remove", connector))
    assert removed.out.startswith("Removed")
    gone = _good(
        await company.run("search", "AP-300 seal", "--as", "7", "--groups", "service", "--json")
    ).json
    assert "Seals" not in {hit["title"] for hit in gone["hits"]}


async def test_an_answer_streams_with_its_citations(company: CommandLine) -> None:
    question = "How many days of paid leave do full-time staff get?"
    streamed = _good(await company.run("ask", question, "--as", "7"))
    whole = _good(await company.run("ask", question, "--as", "7", "--json")).json
    refused = _good(await company.run("ask", "What is grade G6 paid?", "--as", "7", "--json"))
    assert "26 days" in streamed.out and "[1] Leave" in streamed.out
    assert whole["citations"][0]["title"] == "Leave"
    assert refused.json["kind"] == "refusal"


async def test_questions_may_follow_one_another(company: CommandLine) -> None:
    question = "How many days of paid leave do full-time staff get?"
    first = _good(await company.run("ask", question, "--as", "7", "--conversation", "new"))
    mine = first.out.rpartition("--conversation ")[2].strip()
    second = _good(
        await company.run(
            "ask", "And is it paid leave?", "--as", "7", "--conversation", mine, "--json"
        )
    ).json
    assert second["conversation_id"] == mine
    assert second["kind"] == "answer"
    other = await company.run("ask", question, "--as", "8", "--conversation", mine)
    assert _is_one_clear_line(other)


async def test_commands_work_without_a_server_and_wait_for_each_other(
    unserved: CommandLine,
) -> None:
    both = await asyncio.gather(*(unserved.run("jobs", "list", "--json") for _ in range(2)))
    for ran in both:
        assert _good(ran).json["counts"] == {}


async def test_a_killed_server_leaves_nothing_in_the_way(
    unserved: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "leave.md").write_text("# Leave\n\nFull-time staff get 26 days of paid leave.\n")
    async with unserved.serving() as (server, _):
        _good(await unserved.run("ingest", str(tmp_path), "--readers", "everyone"))
        assert await ended(server, signal.SIGKILL) == -signal.SIGKILL
    found = _good(await unserved.run("search", "paid leave", "--as", "7", "--json")).json
    assert found["hits"][0]["title"] == "Leave"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_ends_cleanly(unserved: CommandLine, how: signal.Signals) -> None:
    async with unserved.serving() as (server, line):
        assert line.startswith("Serving at http://127.0.0.1:")
        second = await unserved.run("serve", "--port", "0")
        assert _is_one_clear_line(second) and "served already" in second.err
        assert await ended(server, how) == 0
    assert not (unserved.data_dir / "server.json").exists()


async def test_a_taken_port_is_one_line(unserved: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = await unserved.run("serve", "--port", str(port))
    assert _is_one_clear_line(ran) and "in use" in ran.err


async def test_a_watched_folder_is_followed_until_it_is_stopped(
    company: CommandLine, tmp_path: Path
) -> None:
    words = ("ingest", str(tmp_path), "--readers", "everyone", "--watch")
    async with company.started(*words) as watching:
        assert await first_line(watching) == "Nothing changed.\n"
        assert await first_line(watching) == "Documents now: none.\n"
        (tmp_path / "sabbatical.md").write_text("A sabbatical lasts three months.\n")
        assert await first_line(watching) == "1 change (1 new): 1 done, 0 failed.\n"
        assert await ended(watching, signal.SIGINT) == 0


@pytest.mark.parametrize(
    "words",
    [
        ("search", "x", "--as", " "),
        ("search", "x", "--as", "7", "--filter", "nonsense"),
        ("search", "x", "--as", "7", "--tenant", "no such"),
        ("ingest", "no-such-folder"),
        ("ingest", __file__),
        ("reindex",),
        ("reindex", "--all", "--filter", "department=sales"),
        ("worker",),
        ("jobs", "show", ""),
        ("keys", "create", "portal", "--principal", "app:portal", "--permissions", ","),
        ("eval", "compare", __file__, __file__),
        ("generations", "compare", "2", "no-such-folder"),
        ("search", "x", "--as", "7", "--tenant", "not-set-up"),
    ],
)
def test_bad_input_is_one_clear_line(
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RAG_DATA_DIR", str(tmp_path))
    with pytest.raises(SystemExit) as ending:
        main(words)
    told = capsys.readouterr()
    assert isinstance(ending.value.code, int)
    assert _is_one_clear_line(Ran(ending.value.code, told.out, told.err))


async def test_what_the_api_refuses_is_one_clear_line(company: CommandLine) -> None:
    for words in (
        ("jobs", "show", "../keys"),
        ("connectors", "sync", "no-such-connector"),
        ("search", "x", "--as", "7", "--filter", "no_such_field=1"),
        ("keys", "create", "portal", "--principal", "not a principal"),
        ("access", "explain", "7", "no-such-document"),
        ("generations", "switch", "99"),
        ("generations", "build", "--chunk-tokens", "2"),
    ):
        assert _is_one_clear_line(await company.run(*words)), words


async def test_a_key_lives_until_it_is_revoked(company: CommandLine) -> None:
    made = _good(
        await company.run("keys", "create", "portal", "--principal", "app:portal", "--json")
    ).json
    _good(await company.run("keys", "revoke", made["key"]["id"]))
    listed = _good(await company.run("keys", "list", "--json")).json["keys"]
    assert made["token"].startswith("rag_")
    assert [key["revoked_at"] is None for key in listed if key["name"] == "portal"] == [False]


async def test_setting_up_twice_changes_nothing(tmp_path: Path) -> None:
    rag = CommandLine(tmp_path / "data")
    both = await asyncio.gather(rag.run("init", "--json"), rag.run("init", "--json"))
    assert sorted(_good(ran).json["made"] for ran in both) == [False, True]
    key: str = both[0].json["operator_key_file"]
    assert (await asyncio.to_thread(os.stat, key)).st_mode & 0o077 == 0


async def test_another_index_is_built_compared_switched_to_and_left_again(
    company: CommandLine,
) -> None:
    folder = company.data_dir.parent
    cases = [
        {
            "id": "leave",
            "question": "How many days of paid leave do full-time staff get?",
            "as": "user:7",
            "groups": [],
            "kind": "fact",
            "expected_documents": ["leave.md"],
            "answer_contains": ["26 days"],
        },
        {
            "id": "pay",
            "question": "What is grade G6 paid?",
            "as": "user:7",
            "groups": [],
            "kind": "forbidden",
            "expected_documents": [],
            "forbidden_documents": ["private/pay.md"],
            "refusal": "no_evidence",
        },
    ]
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, cases)))
    planned = _good(await company.run("generations", "build", "--chunk-tokens", "64", "--dry-run"))
    assert planned.out.startswith("Would build from ") and "chunks of 64 tokens" in planned.out

    begun = _good(
        await company.run("generations", "build", "--chunk-tokens", "64", "--wait", "--json")
    ).json
    new = str(begun["generation"]["id"])
    assert begun["generation"]["standing"]["lacking"] == 0
    unproven = await company.run("generations", "switch", new)
    assert _is_one_clear_line(unproven) and "not compared" in unproven.err

    compared = await company.run("generations", "compare", new, str(folder), "--json")
    told = compared.json
    assert compared.status == (0 if told["verdict"] == "passed" else 1)  # how fast it is may vary
    assert (told["new"]["answer_accuracy"], told["new"]["forbidden_leaks"]) == (1.0, 0)
    shown = _good(await company.run("generations", "show", new))
    assert "The gate: " in shown.out and "26 days" not in shown.out

    _good(await company.run("generations", "switch", new, "--force"))
    back = _good(await company.run("generations", "switch", "1"))
    assert back.out.startswith("Generation 1 serves.")
    while (dropped := await company.run("generations", "drop", new)).status:
        assert _is_one_clear_line(dropped) and "a moment ago" in dropped.err
    listed = _good(await company.run("generations", "list", "--json")).json["generations"]
    assert [each["state"] for each in listed] == ["serving", "dropped"]


async def test_two_reports_are_compared(company: CommandLine, tmp_path: Path) -> None:
    for name, figure in (("before", 0.5), ("after", 0.75)):
        (tmp_path / name).write_text(json.dumps({"ndcg@10": figure, "mode": "hybrid"}))
    ran = await company.run("eval", "compare", str(tmp_path / "before"), str(tmp_path / "after"))
    assert "ndcg@10" in _good(ran).out and "+0.25" in ran.out
