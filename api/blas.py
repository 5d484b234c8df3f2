"""How many threads numpy's BLAS has. It asks once, when numpy is loaded: so each process says first."""

import os


def keep_blas_to_one_thread() -> None:
    """BLAS threads would wait busily beside ONNX Runtime's. Whoever set a number keeps it.

    OMP_NUM_THREADS is left alone: OpenBLAS would obey it, and so would torch, which needs more.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
