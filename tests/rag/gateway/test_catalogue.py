"""What calls cost."""

from hypothesis import given
from hypothesis import strategies as st

from rag.gateway.catalogue import Price
from rag.gateway.money import MICROS, Micro
from rag.gateway.tokens import estimated_input, estimated_tokens
from rag.protocols import Message
from rag.types import Usage

PRICE = Price(input=Micro(150_000), output=Micro(600_000), cached=Micro(75_000))
COUNTS = st.integers(0, 10**7)


def test_a_cost_counts_input_cached_input_and_output_apart() -> None:
    assert PRICE.cost(Usage(1_000_000, 1_000_000)) == 750_000
    assert PRICE.cost(Usage(1_000_000, 0, 400_000)) == 90_000 + 30_000
    assert Price(input=Micro(100), output=Micro(0)).cost(Usage(10_000, 0, 10_000)) == 1


def test_the_least_call_of_a_priced_model_costs_something() -> None:
    assert PRICE.cost(Usage(1, 0)) == 1
    assert PRICE.cost(Usage()) == 0


@given(COUNTS, COUNTS, COUNTS)
def test_a_cost_is_never_below_the_exact_one_nor_a_micro_above_it(
    fresh: int, cached: int, output: int
) -> None:
    usage = Usage(fresh + cached, output, cached)
    exact = fresh * 150_000 + cached * 75_000 + output * 600_000
    assert exact <= PRICE.cost(usage) * MICROS < exact + MICROS


def test_more_cached_tokens_than_input_are_not_credited() -> None:
    assert PRICE.cost(Usage(1_000_000, 0, 9_000_000)) == 75_000


def test_tokens_are_guessed_from_bytes() -> None:
    assert estimated_tokens("") == 0
    assert estimated_tokens("What is the fee?") == 4
    assert estimated_tokens("手数料は") == 3
    assert estimated_input([Message("system", "abcd"), Message("user", "abcde")]) == 4 + 1 + 4 + 2
