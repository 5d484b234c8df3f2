"""Links and images of an answer: however they are written, only where they may lead."""

import pytest

from rag.access import TenantId
from rag.guardrails.checks import NotRun, Report, Scanned, asked
from rag.guardrails.links import LinksCheck, host_of
from rag.trail import UseCase

CHECK = LinksCheck(frozenset({"docs.example", "*.wiki.example"}))

ELSEWHERE = (
    "![chart](https://evil.example/?q=secret)",
    "[here](https://evil.example/a_(b))",
    "[here](<https://evil.example/a b>)",
    "[here]: https://evil.example/x",
    "![x][1]\n\n[1]: https://evil.example/?q=1",
    '<img src="https://evil.example/p.png">',
    "<img src=https://evil.example/p.png>",
    "<IMG SRC='//evil.example/p.png'/>",
    '<a href="https://evil.example">go</a>',
    '<form action="https://evil.example">',
    '<div style="background: url(https://evil.example/x.png)">',
    "See https://evil.example/path.",
    "See <https://evil.example>",
    "See www.evil.example/path",
    "See //evil.example/path",
    "![x](//evil.example/x.png)",
    "![x](https:\\\\evil.example/x.png)",
    "![x](\\\\evil.example/x.png)",
    "![x](https://docs.example@evil.example/x.png)",
    "![x](https://docs.example.evil.example/x.png)",
    "![x](https://evildocs.example/x.png)",
    "![x](ftp://docs.example/x.png)",
    "[x](javascript:alert(1))",
    "[x](JaVa\tScRiPt:alert(1))",
    "![x](//[2001:db8::1]:8080/q)",
)
BEHIND_SOMETHING_HARMLESS = (
    '[a](x <img src="//evil.example/?q=1">',
    "[a](x ![](https://evil.example/q) )",
    "[a](x![](https://evil.example/q)",
    '[a](x "![](https://evil.example/q)"',
    "[a](x, https://evil.example/q",
    "[a](https://docs.example/x![](https://evil.example/q)",
    '<img src="ok.png" srcset="//evil.example/?q=1">',
    '<img src="ok.png" srcset="ok.png 1x, https://evil.example/?q=1 2x">',
    '<img src="ok.png" srcset="ok.png 1x,//evil.example/?q=1 2x">',
    '<div data="x" style="background: url(//evil.example/q)">',
    '<a href="/ok" ping="https://evil.example">go</a>',
    "<video src=ok.mp4 poster=//evil.example/p>",
    "<b src=x ![](https://evil.example/q)>",
    '<b src="x ![](https://evil.example/q)>',
    "<b https://evil.example/q>",
    '<img alt=">" src="//evil.example/q">',
    "url(url(https://evil.example/q)",
)
"""A harmless place that is no link, or not the only one, and around another."""
HARMLESS = (
    "Version 8.2 blocks manual journals above £50,000.",
    "Open settings.md and README.rst.",
    "Write to privacy@aldermoor.example [2].",
    "Write to [us](mailto:privacy@aldermoor.example).",
    "The shop opens at 09:00, and/or later.",
    "Ratio 1:2, see A/B.",
    "See [the handbook](/documents/42) or [above](#top).",
    "See https://docs.example/a and [b](https://docs.example/b).",
    "![plan](https://img.wiki.example/plan.png)",
    "[2] and [3, 4].",
    "Use a[i] (the first) and f(x).",
    "Note: this is a comment // not a link",
)


def scanned(text: str) -> Scanned:
    return Scanned(text=text, direction="output", tenant=TenantId("t"), use_case=UseCase.ASK)


@pytest.mark.parametrize("text", ELSEWHERE)
async def test_a_link_to_another_host_is_found_however_it_is_written(text: str) -> None:
    report = await asked(CHECK, scanned(text))
    assert isinstance(report, Report)
    assert report.score == 1.0
    for finding in report.findings:
        assert finding.span is not None
        assert 0 <= finding.span.start < finding.span.end <= len(text)


@pytest.mark.parametrize("text", BEHIND_SOMETHING_HARMLESS)
async def test_a_link_is_not_hidden_by_a_harmless_one_around_it(text: str) -> None:
    report = await asked(CHECK, scanned(text))
    assert isinstance(report, Report)
    assert report.score == 1.0


@pytest.mark.parametrize("text", HARMLESS)
async def test_what_is_no_link_or_leads_to_an_allowed_host_is_left_alone(text: str) -> None:
    assert await asked(CHECK, scanned(text)) == Report(0.0)


@pytest.mark.parametrize(
    "text",
    [text for text in ELSEWHERE if "evil" in text and not text.startswith(("[here]:", "!["))],
)
async def test_without_what_was_found_nothing_leads_elsewhere(text: str) -> None:
    report = await asked(CHECK, scanned(text))
    assert isinstance(report, Report)
    for finding in sorted(
        report.findings, key=lambda each: each.span.start if each.span else 0, reverse=True
    ):
        assert finding.span is not None
        text = text[: finding.span.start] + text[finding.span.end :]
    assert await asked(CHECK, scanned(f"{text} .")) == Report(0.0)


async def test_an_image_is_told_from_a_link_for_showing_it_is_enough() -> None:
    report = await asked(CHECK, scanned("![a](https://x.example/a) [b](https://x.example/b)"))
    assert isinstance(report, Report)
    assert [finding.kind for finding in report.findings] == ["image", "link"]


async def test_without_text_nothing_is_passed() -> None:
    assert isinstance(await asked(CHECK, scanned(" ")), NotRun)


@pytest.mark.parametrize(
    ("to", "host"),
    [
        ("https://Docs.Example:443/x", "docs.example"),
        ("https://docs.example.", "docs.example"),
        ("//a.example?b", "a.example"),
        ("/path", ""),
        ("#top", ""),
        ("mailto:a@b.example", ""),
        ("data:text/html,x", None),
        ("https://[::1]/x", "::1"),
        ("https:/a.example", "a.example"),
        ("https:a.example", "a.example"),
        ("h&#116;tps://a.example", "a.example"),
        ("/\\a.example", "a.example"),
        ("https://ａ.example", "a.example"),
    ],
)
def test_the_host_is_the_one_that_a_browser_would_ask(to: str, host: str | None) -> None:
    assert host_of(to) == host
