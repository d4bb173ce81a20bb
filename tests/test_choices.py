"""The sizes that are chosen by themselves: the rule of the documentation, and its limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdiffice.choices import Choices, automatic_choices


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        (0.0, Choices(16, 16, 2.0, 4100, 2000, 1500, 270)),
        (0.0015, Choices(16, 16, 2.0, 4100, 2000, 1500, 270)),
        (0.006, Choices(22, 32, 2**2.5, 5400, 4000, 3000, 390)),
        (0.024, Choices(32, 64, 16.0, 8000, 8000, 6000, 630)),
        (1.0, Choices(32, 64, 16.0, 8000, 8000, 6000, 630)),
    ],
)
def test_the_rule(detail, expected):
    assert automatic_choices(detail) == pytest.approx(expected)


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_detail_never_means_less_of_anything(one, other):
    low, high = (automatic_choices(detail) for detail in sorted((one, other)))
    assert all(a <= b for a, b in zip(low, high, strict=True))
