"""Sentences with personal data of our own making: what masking is mended on, and what it is measured on.

    python tests/benchmarks/masking_sentences.py development | head

`masking/templates.txt` has the sentences, `masking/values.txt` what fills them in. They are split in
halves twice: templates by a hash of the line, values by turns; so a sentence of the half `test` shares
neither its words nor its names, firms and streets with one that rules were first made on. When that
half had been measured once, the rules were mended on it too. `masking/unseen.txt` with values of its
own was written after that and measured once; then the rules were mended on it as well. In
`masking/written.txt` every sentence is written by hand with its values in it, as staff write: it was
written before it was measured, measured once when the rules had been mended elsewhere, and then the
rules were mended on it, too.
"""

import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zlib import crc32

_FOLDER = Path(__file__).with_name("masking")
_SLOT = re.compile(r"\{(\w+)\}")
_WRITTEN = re.compile(r"\{(\w+)=([^{}]+)\}")
_FORM = re.compile(r"[#%@]")
Half = Literal["development", "test", "unseen", "written"]


@dataclass(frozen=True, slots=True)
class Value:
    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    values: tuple[Value, ...]
    template: str
    language: str


def sentences_of(half: Half, *, each: int = 15, seed: int = 11) -> list[Sentence]:
    """`each` fillings of every template of the half; the same ones for the same seed. `unseen` and
    `written` are sets beside the two halves; of the latter each sentence comes once."""
    if half == "written":
        return [_parsed(line) for line in _lines("written.txt")]
    chance = random.Random(f"{half} {seed}")
    fill = _Filling(_values(half), chance)
    return [_filled(line, fill) for line in _templates(half) for _ in range(each)]


def _templates(half: Half) -> Iterator[str]:
    for line in _lines("unseen.txt" if half == "unseen" else "templates.txt"):
        if half == "unseen" or _half_of(line) == half:
            yield line


def _lines(name: str) -> Iterator[str]:
    for line in (_FOLDER / name).read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line


def _parsed(line: str) -> Sentence:
    language, written = line.split(" ", 1)
    written = written.replace("\\n", "\n").replace("\\t", "\t")
    text, values, at = "", list[Value](), 0
    for found in _WRITTEN.finditer(written):
        text += written[at : found.start()]
        values.append(Value(len(text), len(text) + len(found[2]), found[1]))
        text += found[2]
        at = found.end()
    return Sentence(text + written[at:], tuple(values), line, language)


def _half_of(line: str) -> Half:
    return "test" if crc32(line.encode()) % 2 else "development"


def _values(half: Half) -> Mapping[str, Sequence[str]]:
    lists = _lists("values.txt")
    if half == "unseen":
        return lists | _lists("unseen_values.txt")
    return {name: each[half == "test" :: 2] for name, each in lists.items()}


def _lists(name: str) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    heading = ""
    for line in (_FOLDER / name).read_text("utf-8").splitlines():
        if line.startswith("== "):
            heading = line[3:]
        elif heading:
            lists[heading] = line.split("|")
    return lists


def _filled(line: str, fill: "_Filling") -> Sentence:
    language, template = line.split(" ", 1)
    template = template.replace("\\n", "\n")
    text, values, at = "", list[Value](), 0
    for slot in _SLOT.finditer(template):
        text += template[at : slot.start()]
        said, value = fill.slot(slot[1])
        start = len(text) + said.index(value)
        text += said
        values.append(Value(start, start + len(value), slot[1].removesuffix("_de")))
        at = slot.end()
    return Sentence(text + template[at:], tuple(values), line, language)


class _Filling:
    """Draws what slots are filled in with."""

    def __init__(self, lists: Mapping[str, Sequence[str]], chance: random.Random) -> None:
        self._lists, self._chance = lists, chance
        self._made: Mapping[str, Callable[[], str]] = {
            "person": self._person,
            "email": self._email,
            "iban": self._iban,
            "card": self._card,
            "initial": lambda: self._chance.choice("ABDEGHJKLMPRSTVW"),
        }

    def slot(self, name: str) -> tuple[str, str]:
        """What is written, and what of it is the value."""
        if name.endswith("_small"):
            value = self._value(name.removesuffix("_small")).lower()
        elif name.endswith("_upper"):
            value = self._value(name.removesuffix("_upper")).upper()
        else:
            value = self._value(name)
        if name == "id":
            return value.replace(" = ", " "), value.split(" = ")[1]
        if name.startswith("dob_said"):
            begins = re.search(r"\d|(?:March|Nov)", value)
            return value, value[begins.start() if begins else 0 :]
        return value, value

    def _value(self, name: str) -> str:
        made = self._made.get(name)
        return made() if made is not None else self._form(self._chance.choice(self._lists[name]))

    def _form(self, form: str) -> str:
        return _FORM.sub(lambda sign: self._sign(sign[0]), form)

    def _sign(self, sign: str) -> str:
        if sign == "@":
            return self._chance.choice("ABCDEFGHJKLMNPRSTUVWXYZ")
        return str(self._chance.randint(int(sign == "%"), 9))

    def _person(self) -> str:
        return f"{self._value('first')} {self._value('last')}"

    def _email(self) -> str:
        first, last = (
            re.sub(r"\W", "", self._value(part).lower()).encode("ascii", "ignore").decode()
            for part in ("first", "last")
        )
        style = self._chance.choice(("{0}.{1}", "{1}{2}", "{0}_{1}", "{0}+{1}"))
        local = style.format(first or "x", last, self._chance.randint(1, 99))
        return f"{local}@{self._value('mail_host')}"

    def _iban(self) -> str:
        country, form = self._chance.choice(self._lists["iban_country"]).split()
        letters, _, digits = form.rpartition("@")
        account = self._form("@" * int(letters or 0) + "#" * int(digits))
        numbers = "".join(str(int(sign, 36)) for sign in f"{account}{country}00")
        iban = f"{country}{98 - int(numbers) % 97:02d}{account}"
        spaced = self._chance.random() < 0.6
        return " ".join(re.findall(".{1,4}", iban)) if spaced else iban

    def _card(self) -> str:
        begins, length = self._chance.choice(self._lists["card"]).split()
        digits = begins + self._form("#" * (int(length) - len(begins) - 1))
        digits += str(-_luhn(digits + "0") % 10)
        gap = self._chance.choice(("", " ", "-"))
        if len(digits) == 16:
            return gap.join(re.findall(".{4}", digits))
        return gap.join((digits[:4], digits[4:10], digits[10:]))


def _luhn(digits: str) -> int:
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(number // 10 + number % 10 for number in doubled)


def main() -> None:
    halves: Mapping[str, Half] = {"test": "test", "unseen": "unseen", "written": "written"}
    for sentence in sentences_of(halves.get(" ".join(sys.argv[1:]), "development")):
        print(sentence.text.replace("\n", "\\n"))


if __name__ == "__main__":
    main()
