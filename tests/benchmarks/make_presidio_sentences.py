"""Make new sentences like those of the public set that masking is measured on: other values, other seeds.

    python -m venv presidio && presidio/bin/pip install presidio-evaluator==0.3.2 faker==40.54.0
    presidio/bin/python tests/benchmarks/make_presidio_sentences.py --seed 1 --count 6000 --to new.json
    python tests/benchmarks/bench_masking.py --set new.json --only-set

The set comes from Microsoft's presidio-research (MIT), and this runs its generator: its templates, its
3,000 people of 37 countries, Faker for the rest. Values of Faker are drawn in many locales by turns,
firms from three lists, titles in English and German (Faker has particles and nothing among those of
other languages), and years up to 2022: later ones stay by design, see `docs/masking.md`. The set is
older. What it makes is in the form of the public set, and stays out of the repository: its people are
licensed otherwise (CC BY-SA). Nothing of it goes into the lists of words.
"""

import argparse
import json
import random
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

_LOCALES = (
    "en_US en_US en_US en_GB en_IN de_DE de_AT fr_FR es_ES it_IT nl_NL pl_PL pt_BR tr_TR cs_CZ sv_SE"
    " vi_VN id_ID ro_RO hr_HR hu_HU fi_FI"
).split()
"""All in Latin letters."""
_LOWER_CASE = 0.05
"""Of the sentences, as in the public set."""
_LISTS_OF_FIRMS = 3
_LAST_YEAR = 2022
_TITLES = "Mr. Mrs. Ms. Miss Dr. Herr Frau Prof. Dr. Dipl.-Ing.".split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, default=6_000)
    parser.add_argument("--to", type=Path, required=True)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for at, locale in enumerate(_LOCALES):
        count = (given.count + at) // len(_LOCALES)
        rows += map(_row, _sentences(locale, count, f"{given.seed} {at}"))
    given.to.write_text(json.dumps(rows, ensure_ascii=False, indent=1), "utf-8")
    print(f"{len(rows)} sentences in {len(_LOCALES)} runs", file=sys.stderr)


def _sentences(locale: str, count: int, seed: str) -> list[Any]:
    generating: Any = import_module("presidio_evaluator.data_generator")
    providers: Any = import_module("presidio_evaluator.data_generator.faker_extensions")
    people: Any = import_module("presidio_evaluator.data_generator.faker_extensions.datasets")
    provider: Any = import_module("faker.providers").BaseProvider
    number = random.Random(seed).randrange(1 << 30)
    generating.PresidioSentenceFaker.seed(number)
    records = people.load_fake_person_df()

    class Sentences(generating.PresidioSentenceFaker):
        @staticmethod
        def _preprocess_template(template: str) -> str:
            """As it is: that of the generator takes `>` for braces, too."""
            return template.replace("\\n", "\n").replace("\ufffd", "–")

    class Titles(provider):
        def prefix(self) -> str:
            return str(self.random_element(_TITLES))

        prefix_male = prefix_female = prefix

        def year(self) -> str:
            return str(random.randint(1970, _LAST_YEAR))

    listed: Any = providers.OrganizationProvider

    class Firms(listed):
        def organization(self) -> str:
            chosen = random.randrange(_LISTS_OF_FIRMS)
            if chosen == 0:
                return str(listed.organization(self))
            if chosen == 1:
                return str(random.choice(records["company"].tolist()))
            return str(self.generator.company_of_faker())

    faker: Any = Sentences(
        locale=locale,
        lower_case_ratio=0.0,
        entity_providers=[
            providers.IpAddressProvider,
            providers.NationalityProvider,
            providers.UsDriverLicenseProvider,
            providers.AgeProvider,
            providers.AddressProviderNew,
            providers.PhoneNumberProviderNew,
        ],
        base_records=records,
        random_seed=number,
    )
    faker.add_provider_alias("company", "company_of_faker")
    faker.add_provider(Firms)
    faker.add_provider(Titles)
    return list(faker.generate_new_fake_sentences(count))


def _row(made: Any) -> dict[str, Any]:
    is_lower = random.random() < _LOWER_CASE

    def cased(text: object) -> str:
        return str(text).lower() if is_lower else str(text)

    return {
        "full_text": cased(made.full_text),
        "template_id": made.template_id,
        "spans": [
            {
                "entity_type": span.entity_type,
                "entity_value": cased(span.entity_value),
                "start_position": span.start_position,
                "end_position": span.end_position,
            }
            for span in made.spans
        ],
    }


if __name__ == "__main__":
    main()
