"""Generate the binary documents of a sample corpus from their reviewable text sources.

    python corpora/build.py            write every docx, pptx, xlsx, pdf and png
    python corpora/build.py --check    regenerate into a temporary folder and compare

Each YAML file in `<corpus>/sources/<folder>/` becomes `<corpus>/documents/<folder>/<target>`.
The source format is described at the top of `corpora/aldermoor/BIBLE.md`.

The output is deterministic: dates come from the source, archive members carry 1980, nothing
is random but for a seed derived from the target's name. Run twice, the bytes are the same.
"""

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from formats.pages import build_pdf
from formats.scans import build_scan
from formats.sheets import build_xlsx
from formats.slides import build_pptx
from formats.sources import Source, SourceError, load_source
from formats.word import build_docx

CORPORA = Path(__file__).resolve().parent
BINARY_SUFFIXES = frozenset({".docx", ".pptx", ".xlsx", ".pdf", ".png"})
ARCHIVE_SUFFIXES = frozenset({".docx", ".pptx", ".xlsx"})
BUILDERS: dict[str, Callable[[Source], bytes]] = {
    "docx": build_docx,
    "pptx": build_pptx,
    "xlsx": build_xlsx,
    "pdf": build_pdf,
    "scan": build_scan,
}


def build_corpus(corpus: Path, output: Path) -> list[Path]:
    """Write every binary document of the corpus below `output`; the paths relative to it."""
    written: list[Path] = []
    for path in sorted((corpus / "sources").rglob("*.yaml")):
        source = load_source(path, kinds=BUILDERS)
        relative = path.parent.relative_to(corpus / "sources") / source["target"]
        if relative in written:
            raise SourceError(f"{path}: {relative} is written by another source too")
        try:
            data = BUILDERS[source["kind"]](source)
        except (SourceError, KeyError, TypeError, ValueError) as error:
            raise SourceError(f"{path}: {error!r}") from error
        destination = output / relative
        destination.parent.mkdir(parents=True, exist_ok=True)
        if not destination.exists() or destination.read_bytes() != data:
            destination.write_bytes(data)
        written.append(relative)
    return written


def differences(corpus: Path) -> list[str]:
    """What --check finds: files that differ, are missing, or have no source."""
    documents = corpus / "documents"
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        written = build_corpus(corpus, fresh)
        found = [
            f"{path}: missing"
            if not (documents / path).is_file()
            else f"{path}: differs from its source"
            for path in written
            if not (documents / path).is_file() or not same(fresh / path, documents / path)
        ]
    orphans = {
        path.relative_to(documents)
        for path in documents.rglob("*")
        if path.suffix.lower() in BINARY_SUFFIXES
    } - set(written)
    return found + [f"{path}: has no source" for path in sorted(orphans)]


def same(first: Path, second: Path) -> bool:
    """Equal bytes; for an archive, equal members, so that another zlib is no difference."""
    if first.read_bytes() == second.read_bytes():
        return True
    if first.suffix not in ARCHIVE_SUFFIXES or not zipfile.is_zipfile(second):
        return False
    with zipfile.ZipFile(first) as a, zipfile.ZipFile(second) as b:
        return a.namelist() == b.namelist() and all(a.read(n) == b.read(n) for n in a.namelist())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the binary documents of the corpora.")
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    options = parser.parse_args(arguments)
    corpora = sorted(path.parent for path in CORPORA.glob("*/sources"))
    problems: list[str] = []
    for corpus in corpora:
        try:
            if options.check:
                problems += [f"{corpus.name}: {line}" for line in differences(corpus)]
            else:
                count = len(build_corpus(corpus, corpus / "documents"))
                print(f"{corpus.name}: {count} binary documents")
        except SourceError as error:
            problems.append(str(error))
    for line in problems:
        print(line, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
