"""Every entry point says how many threads BLAS has before numpy is loaded, when BLAS asks."""

import os
import subprocess
import sys

import pytest

ENTRIES = ("api.cli", "api.demo")


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_point_brings_no_numpy_before_it_is_called(entry: str) -> None:
    said = _python(f"import sys, {entry}; print('numpy' in sys.modules)")
    assert said == "False"


@pytest.mark.parametrize(
    ("given", "threads"),
    [
        ({}, "1"),
        ({"OPENBLAS_NUM_THREADS": "4"}, "4"),
        ({"OMP_NUM_THREADS": "2"}, "None"),
    ],
)
def test_whoever_set_a_number_of_threads_keeps_it(given: dict[str, str], threads: str) -> None:
    said = _python(
        "import os; from api.blas import keep_blas_to_one_thread as keep; keep();"
        " print(os.environ.get('OPENBLAS_NUM_THREADS'))",
        given,
    )
    assert said == threads


def _python(code: str, settings: dict[str, str] | None = None) -> str:
    unset = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | (settings or {}),
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip()
