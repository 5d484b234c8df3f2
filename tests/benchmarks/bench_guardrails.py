"""What the guardrails cost, and what of a hidden attack they still see.

CPU time, not wall time: the median over many runs of each input check, of all of them together as
the flow runs them, of a passage that was seen before and one that was not, and of an output pushed
word by word. `held_out` is the shipped check on `injection/held_out.tsv`: attacks and look-alikes written by
hand before anything was measured on them, never trained on and no version was chosen by them. `by_hand` are others: not trained on either, but looked at while the sentences
that are were written; its family `other_languages` is harmless alone. Recall under disguise is of our own attacks (what they were trained on: how well an
attack is known matters less here than whether its disguise is undone).

    python tests/benchmarks/bench_guardrails.py --out bench/results/guardrails.json
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from injection_sentences import DISGUISES, sentences_of
from reporting import report, told

from api.guarding import checks_for
from rag.access import PrincipalId, TenantId
from rag.adapters.policy_file import read_policies
from rag.guardrails.checks import Check, Scanned, asked
from rag.guardrails.flow import Guardrails
from rag.guardrails.injection import InjectionCheck
from rag.guardrails.linear import load_linear
from rag.trail import Account, Direction, RequestId, Trail, UseCase

QUESTION = (
    "What is the deadline for travel expenses when the trip was booked by my manager and I was away"
    " for three weeks in July, and does the rule about receipts still apply to meals abroad as well?"
)
ANSWER = " ".join(f"Sentence {number} says that pumps need oil." for number in range(40))
TENANT = TenantId("bench")
RUNS = 300
SENTENCES = Path(__file__).with_name("injection")


def scanned(text: str, direction: Direction = "input") -> Scanned:
    return Scanned(text=text, direction=direction, tenant=TENANT, use_case=UseCase.ASK)


def trail() -> Trail:
    account = Account(tenant=TENANT, user=PrincipalId("user:1"))
    return Trail(request=RequestId("r"), account=account, use_case=UseCase.ASK, endpoint="bench")


async def cost_ms(work: Callable[[], Awaitable[object]], runs: int = RUNS) -> dict[str, float]:
    taken: list[float] = []
    for _ in range(runs):
        began = time.process_time_ns()
        await work()
        taken.append((time.process_time_ns() - began) / 1e6)
    taken.sort()
    return {
        "p50": round(statistics.median(taken), 3),
        "p99": round(taken[int(len(taken) * 0.99)], 3),
    }


async def costs(guardrails: Guardrails) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, text in (("200 characters", QUESTION[:200]), ("4 kB", (QUESTION + " ") * 21)):
        for check in guardrails.checks:
            figures[f"{check.name}, {name}"] = await cost_ms(_scan(check, text))
        figures[f"input flow, {name}"] = await cost_ms(
            lambda text=text: guardrails.check(scanned(text), trail())
        )
    passage = " ".join(QUESTION.split()[::-1]) * 6
    number = iter(range(1_000_000))
    figures["passage of 1.2 kB, new"] = await cost_ms(
        lambda: guardrails.check(scanned(f"{passage} {next(number)}", "evidence"), trail())
    )
    figures["passage of 1.2 kB, seen before"] = await cost_ms(
        lambda: guardrails.check(scanned(passage, "evidence"), trail())
    )
    figures[f"output of {len(ANSWER)} characters in {len(ANSWER.split())} pieces"] = await cost_ms(
        lambda: _output(guardrails), runs=20
    )
    return figures


def _scan(check: Check, text: str) -> Callable[[], Awaitable[object]]:
    return lambda: asked(check, scanned(text))


async def _output(guardrails: Guardrails) -> None:
    async with guardrails.output(scanned("", "output"), trail()) as stream:
        for word in ANSWER.split():
            await stream.push(word + " ")
        await stream.end()


def under_disguise() -> dict[str, float]:
    check = InjectionCheck(load_linear("injection"))
    attacks = [each.text for each in sentences_of("attacks", each=2) if len(each.text) > 40]
    figures = {"none": _recall(check, attacks)}
    for name, hide in DISGUISES.items():
        told(name, 0, 0)
        figures[name] = _recall(check, [hide(text) for text in attacks])
    return figures


def stopped_of(name: str) -> dict[str, Any]:
    """Share that the shipped check stops of the sentences `name`, by family, and what it gets wrong."""
    check = InjectionCheck(load_linear("injection"))
    stopped: dict[str, list[bool]] = {}
    wrong: list[str] = []
    for line in (SENTENCES / f"{name}.tsv").read_text(encoding="utf-8").splitlines():
        kind, family, text = line.split("\t")
        stops = check.look(text).score >= 0.5
        for group in (kind, f"{kind} {family}"):
            stopped.setdefault(group, []).append(stops)
        if stops != (kind == "attack"):
            wrong.append(text)
    shares = {
        group: {"stopped": round(sum(each) / len(each), 3), "of": len(each)}
        for group, each in sorted(stopped.items())
    }
    return {**shares, "wrong": wrong}


def _recall(check: InjectionCheck, texts: list[str]) -> float:
    return round(sum(check.look(text).score >= 0.5 for text in texts) / len(texts), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    policies = read_policies(None)
    guardrails = Guardrails(checks=checks_for(policies), policies=policies)
    figures = {
        "cpu_ms": asyncio.run(costs(guardrails)),
        "held_out": stopped_of("held_out"),
        "by_hand": stopped_of("by_hand"),
        "recall_under_disguise": under_disguise(),
    }
    report(figures, options.out)


if __name__ == "__main__":
    main()
