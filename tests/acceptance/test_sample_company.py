"""The sample company through the ordinary pipeline: all of it is taken in, its questions are answered
as well as promised by the platform as it is set up by default, and it stays current.

One file, because all of it asks the same ingested company: to take it in is a minute's work.
"""

import shutil
from collections import Counter
from collections.abc import AsyncGenerator, Sequence

import pytest
import pytest_asyncio

from api.evaluation import golden_results
from rag.access import Principal, scope_of
from rag.errors import NotFound
from rag.evaluation.golden import GoldenResult, read_golden, report_of
from rag.storage.documents.records import DocumentState
from rag.storage.jobs.records import JobState
from rag.storage.verdicts.records import Result
from rag.types import Answer, Query, Refusal
from tests.asking import asked
from tests.sample_company import CORPUS, TENANT, SampleCompany, employee, open_sample_company

pytestmark = pytest.mark.asyncio(loop_scope="module")

FITTER = employee("1101", "operations")
IN_HR = employee("1001", "people", "managers")
LEAVE_POLICY = "people/leave-policy-2026.md"
LEAVE_QUESTION = "How many days of paid annual leave does a full-time employee in the UK get?"

FLOORS = {
    "recall@10": 0.95,
    "answer_accuracy": 0.7,
    "refusal_precision": 0.62,
    "refusal_recall": 0.8,
    "citation_precision": 0.95,
    "citation_recall": 0.8,
}
"""What the default reaches, less a little for another processor's rounding. The aim for
refusals (.9 both) is not reached: README, "Measuring"."""


def untold(_doing: str, _done: int, _of: int) -> None:
    """Nobody watches."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def company(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[SampleCompany]:
    async with open_sample_company(tmp_path_factory.mktemp("aldermoor")) as company:
        await company.sync()
        yield company


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def golden(company: SampleCompany) -> Sequence[GoldenResult]:
    return await golden_results(
        company.platform, read_golden(CORPUS), documents=company.documents, progress=untold
    )


@pytest_asyncio.fixture(loop_scope="module")
async def changing(company: SampleCompany) -> AsyncGenerator[SampleCompany]:
    """The company, with everything back in its place afterwards."""
    yield company
    shutil.copytree(CORPUS / "documents", company.documents, dirs_exist_ok=True)
    await company.sync()


ATTACHED = {
    "finance/mail/cash-forecast-q2-2026.eml!/cash-forecast-q2.csv",
    "operations/mail/brunnthal-delay-seal-4480-c.eml!/batch-list-4480-c.txt",
}
"""Documents of their own that lie in the company's mails."""


def files_of(company: SampleCompany) -> list[str]:
    paths = (path for path in company.documents.rglob("*") if path.is_file())
    return [path.relative_to(company.documents).as_posix() for path in paths if path.name[0] != "."]


async def said(company: SampleCompany, question: str, asker: Principal) -> str:
    match await company.platform.answerer.ask(asked(question, asker)):
        case Answer(text=text):
            return text
        case Refusal(reason=reason):
            return reason.value


async def may_open(company: SampleCompany, relative: str, reader: Principal) -> bool:
    try:
        await company.platform.documents.readable(company.id_of(relative), scope=scope_of(reader))
    except NotFound:
        return False
    return True


async def found_by(company: SampleCompany, words: str, reader: Principal) -> set[str]:
    query = Query(text=words, scope=scope_of(reader), limit=100)
    return {
        hit.chunk.document.id for hit in (await company.platform.retriever.retrieve(query)).hits
    }


async def test_every_file_is_taken_in_and_none_failed(company: SampleCompany) -> None:
    stored = await company.platform.documents.listed(TENANT, limit=1_000)
    attached = {document.ref.uri for document in stored if "!/" in document.ref.uri}
    assert {uri.rpartition("/documents/")[2] for uri in attached} == ATTACHED
    assert {document.ref.id for document in stored if document.ref.uri not in attached} == {
        company.id_of(relative) for relative in files_of(company)
    }
    failed = {document.ref.uri: document.error for document in stored if document.error}
    assert not failed
    assert all(document.state is DocumentState.ACTIVE for document in stored)
    jobs = await company.platform.jobs.counts(TENANT)
    assert {state for state, number in jobs.items() if number} == {JobState.DONE}
    source = await company.platform.sources.get(TENANT, company.source.id)
    assert source.problems == () and source.last_sync_error is None


async def test_validation_warns_of_the_planted_instructions_and_quarantines_nothing(
    company: SampleCompany,
) -> None:
    verdicts = company.platform.verdicts
    assert await verdicts.quarantined(TENANT) == []
    warned: dict[str, set[str]] = {}
    for relative in files_of(company):
        [found] = await verdicts.of_document(TENANT, company.id_of(relative))
        told = {each.reason for each in found.validation.verdicts if each.result is Result.WARNED}
        # Which of two alike documents is warned about depends on which was there first.
        if told := told - {"near_duplicate"}:
            warned[relative] = told
    assert warned == {
        "it/helpdock-faq.html": {"hidden_text", "instructions"},
        "sales/partner-portal-faq.html": {"hidden_text", "instructions"},
    }


async def test_every_document_has_a_chunk_and_the_index_holds_them_all(
    company: SampleCompany,
) -> None:
    platform = company.platform
    chunks: Counter[str] = Counter()
    for document in await platform.documents.listed(TENANT, limit=1_000):
        held = await platform.documents.chunks(TENANT, document.ref.id)
        assert await (await platform.generations.serving()).index.chunk_ids(
            TENANT, document.ref.id
        ) == set(held)
        chunks[document.ref.uri] = len(held)
    assert min(chunks.values()) >= 1
    assert await (await platform.generations.serving()).index.count(TENANT) == chunks.total()


async def test_syncing_again_takes_in_nothing(company: SampleCompany) -> None:
    assert await company.sync() == []


async def test_what_no_access_file_speaks_of_is_nobodys(company: SampleCompany) -> None:
    unfiled = [relative for relative in files_of(company) if relative.startswith("unfiled/")]
    assert unfiled
    everybody = employee("1091", "board", "people", "finance", "legal", "it", "managers", "sales")
    ids = {company.id_of(relative) for relative in unfiled}
    assert not ids & await found_by(
        company, "old internal telephone list, untitled notes", everybody
    )
    for relative in unfiled:
        assert not await may_open(company, relative, everybody)


async def test_the_golden_set_is_answered_as_well_as_promised(
    golden: Sequence[GoldenResult],
) -> None:
    report = report_of(golden)
    assert report["forbidden_leaks"] == 0
    assert {name: report[name] for name in FLOORS if report[name] < FLOORS[name]} == {}


async def test_every_citation_quotes_the_passage_it_names(golden: Sequence[GoldenResult]) -> None:
    answers = [result.outcome for result in golden if isinstance(result.outcome, Answer)]
    assert answers
    for citation in (citation for answer in answers for citation in answer.citations):
        assert citation.verified
        start, end = citation.span.start, citation.span.end
        assert citation.chunk.text[start:end] == citation.quote


async def test_an_edit_of_one_sentence_embeds_one_chunk(changing: SampleCompany) -> None:
    assert "26 days" in await said(changing, LEAVE_QUESTION, FITTER)
    policy = changing.documents / LEAVE_POLICY
    policy.write_text(policy.read_text().replace("26 days", "28 days", 1))

    [job] = await changing.sync()
    assert job.uri == policy.as_uri()
    assert job.outcome is not None and ": 1 embedded," in job.outcome, job.outcome
    assert "28 days" in await said(changing, LEAVE_QUESTION, FITTER)


async def test_a_deleted_file_stops_answering(changing: SampleCompany) -> None:
    question = "By what time must distributors order stock spares so that they leave Leeds the same working day?"
    relative, seller = "sales/partner-portal-faq.html", employee("1052", "sales")
    assert "14:30" in await said(changing, question, seller)
    (changing.documents / relative).unlink()

    [job] = await changing.sync()
    assert job.outcome == "removed"
    assert "14:30" not in await said(changing, question, seller)
    assert changing.id_of(relative) not in await found_by(changing, question, seller)
    assert not await may_open(changing, relative, seller)
    assert (
        await (await changing.platform.generations.serving()).index.chunk_ids(
            TENANT, changing.id_of(relative)
        )
        == set()
    )


async def test_a_change_of_access_holds_at_once_and_embeds_nothing(
    changing: SampleCompany,
) -> None:
    question, platform = "What is the midpoint of pay grade G6 from April 2026?", changing.platform
    assert "54900" in await said(changing, question, IN_HR)
    assert await said(changing, question, FITTER) == "no_evidence"
    access_file = changing.documents / "people" / ".access.yaml"
    before = access_file.read_text()
    opened = before.replace('"pay-*": {readers: [group:people,', '"pay-*": {readers: [everyone,')
    assert opened != before
    pay = [name for name in files_of(changing) if name.startswith("people/pay-")]
    held = {
        name: await (await platform.generations.serving()).index.chunk_ids(
            TENANT, changing.id_of(name)
        )
        for name in pay
    }

    for text, reads in ((opened, True), (before, False)):
        access_file.write_text(text)
        jobs = await changing.sync()
        assert {job.outcome for job in jobs} == {"access or metadata updated"}
        assert len(jobs) == len(pay)
        assert ("54900" in await said(changing, question, FITTER)) is reads
        for name in pay:
            assert await may_open(changing, name, FITTER) is reads
            assert (
                await (await platform.generations.serving()).index.chunk_ids(
                    TENANT, changing.id_of(name)
                )
                == held[name]
            )
