"""64-bit arithmetic, for the duration of a block and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def double_precision() -> Iterator[None]:
    """Compute in float64 with full matrix products, whatever the process has configured.

    The default of recent GPUs (TF32) stops quasi-Newton training early.
    """
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        yield
