"""Units of measure and of money, as English and German write them."""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure, as so many of the base unit of its dimension."""

    dimension: str
    factor: Fraction = Fraction(1)


def _table() -> dict[str, Unit]:
    found: dict[str, Unit] = {}
    for dimension, factor, names in (
        ("time", 1, "s sec secs second seconds sekunde sekunden sek"),
        ("time", 60, "min mins minute minutes minuten"),
        ("time", 3_600, "h hr hrs hour hours stunde stunden std"),
        ("time", 86_400, "day days tag tage tagen tages"),
        ("time", 604_800, "week weeks woche wochen"),
        ("time", 1_209_600, "fortnight fortnights"),
        ("months", 1, "month months monat monate monaten monats"),
        ("months", 3, "quarter quarters quartal quartale quartalen"),
        ("months", 12, "year years jahr jahre jahren jahres"),
        ("months", 120, "decade decades jahrzehnt jahrzehnte"),
        ("months", 1_200, "century centuries jahrhundert jahrhunderte"),
        ("length", 1, "mm millimetre millimetres millimeter millimeters"),
        ("length", 10, "cm centimetre centimetres centimeter centimeters zentimeter"),
        ("length", 1_000, "metre metres meter meters metern"),
        ("length", 1_000_000, "km kilometre kilometres kilometer kilometers kilometern"),
        ("inches", 1, "inch inches zoll"),
        ("inches", 12, "foot feet ft"),
        ("inches", 36, "yard yards yd"),
        ("inches", 63_360, "mile miles mi meilen"),
        ("mass", 1, "mg milligram milligrams milligramm"),
        ("mass", 1_000, "g gram grams gramm"),
        ("mass", 1_000_000, "kg kilo kilos kilogram kilograms kilogramm"),
        ("mass", 1_000_000_000, "t tonne tonnes tonnen"),
        ("tons", 1, "ton tons"),
        ("lb", 1, "lb lbs"),
        ("volume", 1, "ml millilitre millilitres milliliter milliliters"),
        ("volume", 1_000, "l litre litres liter liters litern"),
        ("volume", 1_000_000, "m³ m3"),
        ("area", 1, "m² m2 sqm"),
        ("area", 10_000, "ha hectare hectares hektar"),
        ("area", 1_000_000, "km² km2"),
        ("gallons", 1, "gallon gallons"),
        ("acres", 1, "acre acres"),
        ("pressure", 1, "mbar"),
        ("pressure", 1_000, "bar"),
        ("pascal", 1, "pa"),
        ("pascal", 1_000, "kpa"),
        ("pascal", 1_000_000, "mpa"),
        ("psi", 1, "psi"),
        ("power", 1, "w watt watts"),
        ("power", 1_000, "kw kilowatt kilowatts"),
        ("power", 1_000_000, "mw megawatt megawatts"),
        ("horsepower", 1, "hp ps"),
        ("energy", 1, "wh"),
        ("energy", 1_000, "kwh kilowattstunden"),
        ("energy", 1_000_000, "mwh"),
        ("energy", 1_000_000_000, "gwh"),
        ("joule", 1, "j joule joules"),
        ("joule", 1_000, "kj"),
        ("torque", 1, "nm"),
        ("torque", 1_000, "knm"),
        ("force", 1, "newton newtons"),
        ("force", 1_000, "kn"),
        ("frequency", 1, "hz hertz"),
        ("frequency", 1_000, "khz"),
        ("frequency", 1_000_000, "mhz"),
        ("frequency", 1_000_000_000, "ghz"),
        ("rotation", 1, "rpm u/min 1/min"),
        ("voltage", 1, "v volt volts"),
        ("voltage", 1_000, "kv"),
        ("current", 1, "ma"),
        ("current", 1_000, "ampere amperes amp amps"),
        ("celsius", 1, "°c celsius"),
        ("fahrenheit", 1, "°f fahrenheit"),
        ("kelvin", 1, "k kelvin"),
        ("noise", 1, "db db(a) decibel decibels dezibel"),
        ("data", 1, "kb kilobyte kilobytes"),
        ("data", 1_000, "mb megabyte megabytes"),
        ("data", 1_000_000, "gb gigabyte gigabytes"),
        ("data", 1_000_000_000, "tb terabyte terabytes"),
        ("share", 10_000, "% percent prozent pct"),
        ("share", 1_000, "‰ promille"),
        ("share", 1, "ppm"),
        ("points", 1, "prozentpunkt prozentpunkte prozentpunkten"),
        ("GBP", 1, "£ gbp pound pounds pfund sterling"),
        ("EUR", 1, "€ eur euro euros"),
        ("USD", 1, "$ us$ usd dollar dollars"),
        ("CHF", 1, "chf franc francs franken"),
        ("JPY", 1, "¥ jpy yen"),
        ("INR", 1, "₹ inr rupee rupees"),
        ("pence", 1, "pence penny"),
        ("cents", 1, "cent cents"),
    ):
        for name in names.split():
            found[name] = Unit(dimension, Fraction(factor))
    found["percentage points"] = found["percentage point"] = found["prozentpunkte"]
    found["per cent"] = found["%"]
    found["per mille"] = found["‰"]
    return found


_UNITS = _table()
_RATES = {
    "hourly": "hour",
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "quarterly": "quarter",
    "annual": "year",
    "annually": "year",
    "yearly": "year",
    "stündlich": "stunde",
    "täglich": "tag",
    "wöchentlich": "woche",
    "monatlich": "monat",
    "jährlich": "jahr",
}
_CASED = {"MW": "mw", "mW": "", "M": "", "S": "", "T": "t", "K": "k", "A": "", "C": "", "F": ""}
"""Units that their capitals tell apart; the empty ones are letters, not units."""
MONEY = frozenset({"GBP", "EUR", "USD", "CHF", "JPY", "INR"})
SYMBOLS = "|".join(
    re.escape(name)
    for name in sorted((n for n in _UNITS if not n.isalpha()), key=len, reverse=True)
)
_RATE = re.compile(
    r"(?:\b(?:per|a|an|each|every|pro|je|jede[rsn]?)\s(?!cent\b|mille\b)|/)(?P<unit>[^\W\d_]+)\b",
    re.IGNORECASE,
)
_ADJECTIVES = re.compile(rf"\b(?:{'|'.join(_RATES)})(?:e[rsnm]?)?\b", re.IGNORECASE)


def units_of(text: str) -> frozenset[Unit]:
    """Every unit that `text` names, with or without a number."""
    words = re.findall(rf"{SYMBOLS}|[^\W\d_]+", text, re.IGNORECASE)
    return frozenset(unit for word in words if (unit := unit_of(word)) is not None)


def rates_of(text: str) -> frozenset[Unit]:
    """The units that something recurs in or is measured by: `per week`, `annual`, `pro Tag`."""
    named = {match["unit"] for match in _RATE.finditer(text)}
    named |= {
        rate
        for match in _ADJECTIVES.finditer(text)
        for name, rate in _RATES.items()
        if match[0].lower().startswith(name)
    }
    return frozenset(unit for name in named if (unit := unit_of(name)) is not None)


@cache
def unit_of(word: str) -> Unit | None:
    """The unit that `word` is the name or the symbol of; None where it is none."""
    return _UNITS.get(_CASED.get(word, word.lower()))
