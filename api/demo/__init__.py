"""`make demo`: the platform, shown on the sample company."""

from api.blas import keep_blas_to_one_thread
from rag.starting import importing


def main() -> None:
    """Show it. Ends with `SystemExit` where something is not as promised."""
    keep_blas_to_one_thread()
    with importing():
        from api.demo.tour import run  # noqa: PLC0415 - it brings numpy

    run()
