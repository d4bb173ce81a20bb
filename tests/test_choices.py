"""The sizes that are chosen by themselves: the rule of the documentation, and its limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdiffice.choices import Choices, automatic_choices
from xdiffice.subdomains import automatic_number


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


@pytest.mark.parametrize(
    ("detail", "n", "expected"),
    [
        # As many radians and units as r = (detail / 0.0015)^½ / n^⅓, at least √2, in half octaves.
        (0.024, 5, Choices(22, 32, 4 * 2**1.5, 3158, 2339, 1754, 228)),
        (0.024, 4, Choices(26, 45, 12.0, 4080, 3564, 2673, 308)),  # no finer in a region
        (0.006, 16, Choices(18, 23, 4 * 2**0.75, 1841, 1122, 842, 127)),
        (0.0, 4, Choices(18, 23, 4 * 2**0.75, 2922, 1782, 1336, 201)),
    ],
)
def test_the_rule_for_regions(detail, n, expected):
    assert automatic_choices(detail, n) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(
    ("area", "detail", "n"),
    [(1.6e11, 0.0065, 16), (5e10, 0.024, 5), (4e9, 0.002, 1), (1.6e11, 0.0015, 4), (1e12, 1.0, 16)],
)
def test_the_number_of_regions(area, detail, n):
    assert automatic_number(area, detail) == n
