"""What providers list for their models, from the data that ships in genai-prices."""

from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal

from rag.gateway.catalogue import Price
from rag.gateway.money import MICROS, Micro


def list_price(model: str) -> Price | None:
    """The listed price of `model` (`gpt-4o-mini`, or `azure:gpt-4o-mini` for one provider's).

    Where it rises with the length of the input, the highest step. None where it is not listed.
    It reads what was installed: nothing is fetched.
    """
    # Imported here alone: it takes most of a second, and only catalogues that ask for it need it.
    from genai_prices import data_snapshot  # noqa: PLC0415
    from genai_prices.types import TieredPrices  # noqa: PLC0415

    def micro(price: Decimal | TieredPrices) -> Micro:
        steps = (
            [price.base, *(tier.price for tier in price.tiers)]
            if isinstance(price, TieredPrices)
            else [price]
        )
        return Micro(int((max(steps) * MICROS).to_integral_value(ROUND_CEILING)))

    provider, _, name = model.rpartition(":")
    try:
        _, found = data_snapshot.get_snapshot().find_provider_model(
            name, None, provider or None, None
        )
    except LookupError:
        return None
    listed = found.get_prices(datetime.now(UTC))
    if listed.input_mtok is None or listed.output_mtok is None:
        return None
    cached = listed.cache_read_mtok
    return Price(
        input=micro(listed.input_mtok),
        output=micro(listed.output_mtok),
        cached=None if cached is None else micro(cached),
    )
