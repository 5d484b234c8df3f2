"""Streets, postcodes, towns with their postcode, and places on the globe, in the forms of many countries."""

import re

from rag.guardrails.form_rule import FormRule, has_digit
from rag.guardrails.name_words import FUNCTION

_CANADIAN_POSTCODE = re.compile(r"(?<!\w)[A-Z]\d[A-Z] \d[A-Z]\d(?!\w)")
_IRISH_POSTCODE = re.compile(r"(?<!\w)[A-Z]\d[\dW] [A-Z][A-Z\d]{3}(?!\w)")
_UK_POSTCODE = re.compile(r"(?<!\w)[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}(?!\w)")
_POSTCODE = re.compile(
    r"(?:\bzip|postal ?code|postcode|plz|postleitzahl)(?: code)?\W{0,3}(?:(?:is|ist|lautet)\W{1,2})?([a-z]{0,2}-?\d[\da-z]{1,5}(?:[ -]?[\da-z]{2,4})?)(?!\w)"
)
_NAME = r"[A-ZÄÖÜÀ-Þ][\w’'.-]{1,30}"
_STREET_WORD = (
    r"(?:Street|St\.?|Road|Rd\.?|Avenue|Ave\.?|Lane|Ln\.?|Drive|Dr\.?|Boulevard|Blvd\.?|Way|Court|Ct\.?|Place|Square"
    r"|Terrace|Crescent|Straße|Allee|Platz|Weg|Gasse)"
)
_STREET = re.compile(
    rf"(?<!\w)(?:\d{{1,5}}[a-z]?,? ){{0,2}}(?:{_NAME} ){{0,3}}"
    rf"(?:{_NAME}(?:straße|strasse|str\.|gasse|weg|platz|allee|damm|ufer|gata|gatan|veien|vägen)|{_NAME} {_STREET_WORD})"
    r"(?!\w)(?:,? \d{1,5}[a-z]?(?!\w))?"
)
_BESIDE = re.compile(
    rf"(?<!\w)(?:Am|An de[rn]|Auf de[rm]|Im|In de[rn]|Unter de[rn]|Hinter de[rm]|Vor de[rm]|Zum|Zur|Bei de[rm])"
    rf"(?! (?:Abschnitt|Kapitel|Tabelle|Abbildung|Anhang|Anlage|Punkt|Schritt|Werk|Stufe|Fall|Seite|Jahr|Jahre|Quartal"
    rf"|Absatz|Artikel|Teil|Bild|Zeile|Paragra)[ \w])(?: {_NAME}){{1,3}} \d{{1,3}}[a-z]?(?![\w%]|[.,:]\d| ?[€°])"
)
"""Streets that are called by where they are: `An der Mühle 11`."""
_STREETS = tuple(
    " street, st, road, rd, avenue, ave, lane, ln, drive, dr, boulevard, blvd, way, court, ct, place, square, terrace"
    ", crescent, stra?e,stra?e, allee, weg,strasse,str.,gasse,weg,platz,allee,damm,ufer,gata,veien,v?gen".split(
        ","
    )
)
_OF = r"(?: (?:de|des|du|della?|do|da|la|les|los|del)){0,3}"
_WAY = re.compile(
    rf"(?<!\w)(?:\d{{1,5}} )?\d{{1,5}},? (?:bis )?(?:rue|avenue|boulevard|place|route|chemin|quai|impasse|cours|via|piazza|calle|avenida|rua){_OF}(?: {_NAME}){{1,4}}"
    rf"|(?<!\w)(?:Rue|Avenue|Via|Piazza|Calle|Avenida|Rua|Paseo|Plaza|Viale|Corso){_OF}(?: {_NAME}){{1,4}},? \d{{1,5}}"
    rf"|(?<!\w)(?:\d{{1,5}} )?C/ ?{_NAME}(?: [\w’'.-]{{1,30}}){{0,4}},? \d{{1,5}}"
)
_WAYS = (
    "rue ", "avenue ", "boulevard ", "place ", "route ", "chemin ", "quai ", "impasse ", "cours ", "c/", "via ", "piazza ", "calle ", "avenida ", "rua ", "paseo ", "plaza ",
    "viale ", "corso ",
)  # fmt: skip
_DEGREES = re.compile(
    r"\d{1,3}(?:\.\d+)? ?°(?: ?\d{1,2}['’′](?: ?\d{1,2}(?:\.\d+)?[\"”″])?)? ?[NSEWO](?!\w)"
)
_COORDINATES = re.compile(r"(?<![\w.])-?\d{1,3}\.\d{4,8}, ?-?\d{1,3}\.\d{4,8}(?!\w)")
_UNITS = ("box ", "postfach ", "psc ", "unit ", "suite ", "apt", "apartment ")
_UNIT = re.compile(
    r"(?<!\w)(?:\d{1,6} (?=p))?(?:p\.? ?o\.? box|postfach|psc|unit|suite|apt\.?|apartment|box)\s(?:#|no\.? )?\d{1,6}(?!\w)(?:, box \d{1,6})?"
)
_SMALL_STREET = re.compile(
    r"(?<!\w)(?:\d{1,5} )?\d{1,5}[a-z]?,? (?:[a-z?'-]+ ){1,3}(?:street|road|rd|avenue|ave|lane|terrace|crescent|blvd)(?!\w)"
)
_CITY = re.compile(
    rf"(?<!\w)(?:(?:D-)?\d{{5}}|(?:A|B|CH|CZ|DK|E|F|FI|H|HU|I|L|LT|LV|MD|N|NL|P|PL|RO|S|SE|SI|SK|SLO)-\d{{4,5}}) {_NAME}"
)
_US_STATE_ZIP = re.compile(
    r"(?<!\w)(?:A[AEKLPRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT"
    r"|V[AIT]|W[AIVY]) \d{5}(?:-\d{4})?(?!\w)"
)


def _is_street(value: str) -> bool:
    """No word of those that hold a sentence together is in the name of a street."""
    return FUNCTION.isdisjoint(value.split())


ADDRESS_RULES = (
    FormRule(kind="postcode", pattern=_CANADIAN_POSTCODE, shapes=(b"A0A 0A0",)),
    FormRule(kind="postcode", pattern=_IRISH_POSTCODE, shapes=(b"A00 A", b"A0A A")),
    FormRule(kind="postcode", pattern=_UK_POSTCODE, shapes=(b" 0AA",)),
    FormRule(
        kind="postcode",
        pattern=_POSTCODE,
        words=("zip", "postal", "postcode", "plz", "postleitzahl"),
        ignores_case=True,
    ),
    FormRule(kind="postcode", pattern=_US_STATE_ZIP, shapes=(b"AA 00000",)),
    FormRule(kind="address", pattern=_CITY, shapes=(b"00000 A", b"-0000 A")),
    FormRule(kind="address", pattern=_STREET, words=_STREETS, holds=has_digit),
    FormRule(
        kind="address",
        pattern=_SMALL_STREET,
        words=(" street", " road", " rd", " avenue", " ave ", " lane", " terrace", " crescent"),
        ignores_case=True,
        holds=_is_street,
    ),
    FormRule(kind="address", pattern=_DEGREES, shapes=(b"0?", b"0 ?")),
    FormRule(kind="address", pattern=_COORDINATES, shapes=(b"0.0000",)),
    FormRule(kind="address", pattern=_WAY, words=_WAYS),
    FormRule(
        kind="address",
        pattern=_BESIDE,
        words=(
            "am ",
            "an de",
            "auf de",
            "im ",
            "in de",
            "unter de",
            "hinter de",
            "vor de",
            "zu",
            "bei de",
        ),
    ),
    FormRule(kind="address", pattern=_UNIT, words=_UNITS, ignores_case=True),
)
