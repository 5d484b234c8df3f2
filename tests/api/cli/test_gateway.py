"""`rag gateway`: models and routes, as an operator sees them."""

from pathlib import Path

from tests.api.cli.commands import CommandLine, Ran

GRADED = "prompt,cheap,dear\nWhat is x if x > 3?,False,True\nWhere is it?,True,True\n"


def _good(ran: Ran) -> Ran:
    assert ran.status == 0, ran.err
    return ran


async def test_models_are_listed_with_prices_and_deployments(tmp_path: Path) -> None:
    rag = CommandLine(tmp_path / "data")
    [extractive] = _good(await rag.run("gateway", "models", "--json")).json["models"]
    assert (extractive["name"], extractive["tier"]) == ("extractive", "last_resort")
    told = _good(await rag.run("gateway", "models")).out
    assert "extractive" in told and "unknown price counts as 100 / 400" in told


async def test_a_route_report_of_nothing_is_empty(tmp_path: Path) -> None:
    rag = CommandLine(tmp_path / "data")
    _good(await rag.run("init"))
    report = _good(await rag.run("gateway", "route-report", "--json")).json
    assert (report["questions"], report["strategies"]) == (0, [])
    told = _good(await rag.run("gateway", "route-report", "--since", "2026-11-01T00:00:00Z")).out
    assert "0 questions" in told


async def test_graded_answers_tell_what_the_complexity_is_worth(tmp_path: Path) -> None:
    rag = CommandLine(tmp_path / "data")
    (tmp_path / "graded").mkdir()
    (tmp_path / "graded" / "maths.csv").write_text(GRADED)
    words = ("gateway", "route-report", "--data", str(tmp_path / "graded"))
    report = _good(await rag.run(*words, "--json")).json
    assert (report["questions"], report["cheap"], report["best"]) == (2, 0.5, 1.0)
    assert report["apgr"] == (0.0 + 1.0 + 1.0) / 3 and report["left_out"] == 0
    assert "by chance .5" in _good(await rag.run(*words)).out
    nothing = await rag.run("gateway", "route-report", "--data", str(tmp_path / "data"))
    assert nothing.status == 1 and "holds no CSV file" in nothing.err
