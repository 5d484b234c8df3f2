"""What counts as said by the evidence, with the embedder that the platform ships."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from rag.adapters.onnx_embedder import OnnxEmbedder
from rag.grounding import SUPPORTED, GroundingCheck, Support
from rag.protocols import Embedder
from rag.statements import statements_of
from rag.testing import HashEmbedder
from rag.types import Embedding, Evidence
from tests.values import hit

HANDBOOK = """Invoices over 1,250 euros are approved by Maria Keller.
The AP-450X pump must not run dry.
Goods are dispatched from the Leeds warehouse within 3 working days.
Remote work is allowed on Fridays.
The agreement ends on 12 March 2026."""
PAY = """Salary by grade

| Grade | Midpoint | Overtime paid |
| --- | --- | --- |
| G5 | 45200 | yes |
| G6 | 54900 | no |"""


async def support(sentence: str, embedder: Embedder, text: str = HANDBOOK) -> Support:
    found = hit(text, document="Handbook", table=text is PAY)
    statements = statements_of([Evidence(number=1, hit=found, text=text, parts=(found,))])
    judged = await GroundingCheck(embedder=embedder).support(sentence, statements)
    assert judged is not None
    return judged


@pytest.mark.parametrize("sentence", HANDBOOK.splitlines())
async def test_what_stands_there_word_for_word_is_fully_supported(
    sentence: str, minilm: OnnxEmbedder
) -> None:
    judged = await support(sentence, minilm)
    assert (judged.score, judged.disagreement) == (1.0, None)
    assert judged.basis.text == sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "Maria Keller approves invoices over 1250 euros.",
        "From the Leeds warehouse, goods are dispatched within three working days.",
        "You may not run the AP-450X pump dry.",
        "The agreement ends on 2026-03-12.",
    ],
)
async def test_the_same_in_other_words_is_supported(sentence: str, minilm: OnnxEmbedder) -> None:
    judged = await support(sentence, minilm)
    assert judged.disagreement is None
    assert judged.score >= SUPPORTED


@pytest.mark.parametrize(
    ("sentence", "disagreement"),
    [
        ("Invoices over 1,520 euros are approved by Maria Keller.", "numbers"),
        ("Goods are dispatched from the Leeds warehouse within 5 working days.", "numbers"),
        ("The agreement ends on 13 March 2026.", "numbers"),
        ("The agreement ends on 12 March 2027.", "numbers"),
        ("Invoices over 1,250 euros are approved by Maria Kessler.", "names"),
        ("Goods are dispatched from the London warehouse within 3 working days.", "names"),
        ("The AP-450Y pump must not run dry.", "names"),
        ("The AP-450X pump must run dry.", "negation"),
        ("Remote work is not allowed on Fridays.", "negation"),
        ("Invoices over 1,250 euros are never approved by Maria Keller.", "negation"),
    ],
)
async def test_one_word_swapped_is_enough_to_be_rejected(
    sentence: str, disagreement: str, minilm: OnnxEmbedder
) -> None:
    judged = await support(sentence, minilm)
    assert (judged.score, judged.disagreement) == (0.0, disagreement)


async def test_a_name_from_one_statement_does_not_vouch_for_another(minilm: OnnxEmbedder) -> None:
    text = "Maria Keller signs contracts.\nTom Brandt orders the paper."
    assert (await support("Tom Brandt signs contracts.", minilm, text)).disagreement is not None


async def test_what_the_evidence_is_silent_about_is_rejected(minilm: OnnxEmbedder) -> None:
    judged = await support("The canteen serves soup at noon.", minilm)
    assert judged.score < SUPPORTED
    assert judged.disagreement is not None


async def test_without_statements_there_is_no_support_to_speak_of(minilm: OnnxEmbedder) -> None:
    assert await GroundingCheck(embedder=minilm).support("Anything.", ()) is None


@pytest.mark.parametrize(
    ("sentence", "disagreement"),
    [
        ("G6 - Midpoint: 54900", None),
        ("G6 - Overtime paid: no", None),
        ("Grade G6 is paid overtime.", "negation"),
        ("G6 - Midpoint: 45900", "numbers"),
    ],
)
async def test_a_no_in_one_column_denies_that_column_alone(
    sentence: str, disagreement: str | None
) -> None:
    judged = await support(sentence, HashEmbedder(), PAY)
    assert judged.disagreement == disagreement


RULES = """Staff may work from abroad for up to 15 working days a year.
Claims are entered within 30 days of the end of the trip.
The trip is set at 7.1 mm/s and the alarm at 4.5 mm/s.
Drawings may not be pasted into public AI services.
The order book was £24.6m.
Das Werk hat 3.412 MWh Strom verbraucht.
Carried days must be taken before 31 March."""


@pytest.mark.parametrize(
    ("sentence", "disagreement"),
    [
        ("Claims are entered within 30 weeks of the end of the trip.", "units"),
        ("The trip is set at 7.1 cm/s and the alarm at 4.5 mm/s.", "units"),
        ("The order book was €24.6m.", "units"),
        ("The order book was £24.6bn.", "numbers"),
        ("Das Werk hat 3.412 kWh Strom verbraucht.", "units"),
        ("Staff may work from abroad for at least 15 working days a year.", "negation"),
        ("Staff may work from abroad for up to 15 working days a month.", "units"),
        ("Drawings may be pasted into public AI services.", "negation"),
        ("Carried days must be taken after 31 March.", "negation"),
        ("Das Werk hat 3.412 MWh Strom nicht verbraucht.", "negation"),
    ],
)
async def test_another_unit_bound_or_sense_is_rejected(sentence: str, disagreement: str) -> None:
    judged = await support(sentence, HashEmbedder(), RULES)
    assert judged.disagreement == disagreement


@pytest.mark.parametrize(
    "sentence",
    [
        "Claims are entered within thirty days of the end of the trip.",
        "According to the policy, claims are entered within 30 days of the end of the trip.",
        "Staff may work from abroad for at most fifteen working days a year.",
        "Drawings must not be pasted into public AI services.",
        "The order book was £24.6 million.",
    ],
)
async def test_the_same_quantity_written_otherwise_is_supported(sentence: str) -> None:
    assert (await support(sentence, HashEmbedder(), RULES)).disagreement is None


async def test_a_sentence_that_names_its_topic_and_invents_the_rest_is_rejected() -> None:
    found = hit(
        "Subject: Order 26-11873: four rotors missing", document="Order 26-11873 rotors missing"
    )
    statements = statements_of(
        [Evidence(number=1, hit=found, text=found.chunk.text, parts=(found,))]
    )
    sentence = (
        "The order 26-11873 of four missing rotors is praised by an outside jury every spring."
    )
    judged = await GroundingCheck(embedder=HashEmbedder()).support(sentence, statements)
    assert judged is not None
    assert judged.disagreement == "words"


async def test_what_one_statement_lacks_may_stand_beside_it_among_the_same_words() -> None:
    text = "Ada Byrne is a Scottish engineer.\nShe designed the seal SEAL-44 for hot water in 1998."
    sentence = "Ada Byrne, a Scottish engineer, designed the seal SEAL-44 for hot water in 1998."
    assert (await support(sentence, HashEmbedder(), text)).disagreement is None
    other = "Ada Byrne, a Norwegian engineer, designed the seal SEAL-44 for hot water in 1998."
    assert (await support(other, HashEmbedder(), text)).disagreement == "names"


async def test_a_row_that_is_read_out_in_another_order_is_supported() -> None:
    table = """Revenue in £m

| Segment | Q2 2025 | Q3 2025 |
| --- | --- | --- |
| New Pumps | 9.1 | 8.4 |
| Spares and Service | 2.4 | 2.8 |"""
    found = hit(table, document="Results", table=True)
    statements = statements_of([Evidence(number=1, hit=found, text=table, parts=(found,))])
    check = GroundingCheck(embedder=HashEmbedder())
    for sentence, supported in (
        ("Spares and Service - Q3 2025: 2.8", True),
        ("Q3 2025: Spares and Service, 2.8", True),
        ("Spares and Service - Q3 2025: 8.2", False),
    ):
        judged = await check.support(sentence, statements)
        assert judged is not None
        assert (judged.disagreement is None) == supported


JOINED = """The AP-450X pump was designed in Leeds by Ada Byrne.
It was shown at the trade fair in Hanover on 4 May 2019.
After three seasons, production was moved to Gdansk.
The seal is not sold separately."""


@pytest.mark.parametrize(
    "sentence",
    [
        "The AP-450X pump was designed in Leeds by Ada Byrne, and production was moved to Gdansk after three seasons.",
        "The pump was shown at the trade fair in Hanover on 4 May 2019; the seal is not sold separately.",
        "While the AP-450X pump was designed in Leeds, it was shown at the trade fair in Hanover.",
    ],
)
async def test_a_sentence_that_joins_statements_of_one_passage_is_supported(
    sentence: str, minilm: OnnxEmbedder
) -> None:
    judged = await support(sentence, minilm, JOINED)
    assert judged.disagreement is None
    assert judged.score >= SUPPORTED


@pytest.mark.parametrize(
    ("sentence", "disagreement"),
    [
        (
            "The AP-450X pump was designed in Leeds by Ada Byrne, and production was moved to Hanover after three seasons.",
            "names",
        ),
        (
            "The AP-450X pump was designed in Leeds by Ada Byrne, and production was moved to Gdansk after four seasons.",
            "numbers",
        ),
        (
            "The AP-450X pump was designed in Leeds by Ada Byrne, and production was not moved to Gdansk after three seasons.",
            "negation",
        ),
        (
            "The pump was shown at the trade fair in Hanover on 4 May 2019, while the seal is sold separately.",
            "negation",
        ),
    ],
)
async def test_each_part_of_a_joined_sentence_is_held_against_its_own_statement(
    sentence: str, disagreement: str, minilm: OnnxEmbedder
) -> None:
    assert (await support(sentence, minilm, JOINED)).disagreement == disagreement


async def test_a_not_before_a_comparative_is_a_denial_and_no_bound() -> None:
    text = "The lease is less expensive than the purchase."
    judged = await support(
        "The lease is not less expensive than the purchase.", HashEmbedder(), text
    )
    assert judged.disagreement == "negation"


@dataclass(frozen=True, slots=True)
class Counting(HashEmbedder):
    """Keeps the texts that it embeds."""

    texts: list[str] = field(default_factory=list[str])

    async def embed_documents(self, texts: Sequence[str]) -> list[Embedding]:
        self.texts.extend(texts)
        return await HashEmbedder.embed_documents(self, texts)


async def test_for_one_answer_no_statement_is_embedded_twice() -> None:
    found = hit(HANDBOOK, document="Handbook")
    statements = statements_of([Evidence(number=1, hit=found, text=HANDBOOK, parts=(found,))])
    embedder = Counting()
    check = GroundingCheck(embedder=embedder).for_one_answer()
    for sentence in ("Goods leave the Leeds warehouse.", "The Leeds warehouse dispatches goods."):
        await check.support(sentence, statements)
    assert len(embedder.texts) == len(set(embedder.texts)) > 2
