"""Arithmetic of a known precision, for the duration of a block and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

import jax

Precision = Literal["float64", "float32"]


@contextmanager
def full_precision(dtype: Precision) -> Iterator[None]:
    """Compute with full matrix products, whatever the process has configured.

    The default of recent GPUs, TF32 with 10 bits of mantissa, stops quasi-Newton training early.

    Parameters
    ----------
    dtype : {"float64", "float32"}
        Of all arrays that are made in the block, and of their products.
    """
    with jax.enable_x64(dtype == "float64"), jax.default_matmul_precision("highest"):
        yield


def double_precision() -> AbstractContextManager[None]:
    """Compute in float64: see `full_precision`."""
    return full_precision("float64")
