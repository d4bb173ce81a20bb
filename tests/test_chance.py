"""What members do not have in common has the distribution that data and penalty ask for."""

from __future__ import annotations

import numpy as np
import pytest

from xdiffice.uncertainty.random_slopes import CELLS, MODES, MOST, PERIODS, RandomSlopes

SIDE = 8e4


def fields(stiffness: float, n: int):
    """Slopes on the whole period of n fields, with the side of a cell, m."""
    cell = PERIODS * SIDE / CELLS
    at = cell * np.arange(CELLS) + 3e5
    x, y = np.meshgrid(at, at)
    for seed in range(n):
        rng = np.random.default_rng(seed)
        yield RandomSlopes((3e5, 3e5), (3e5 + SIDE, 3e5 + SIDE / 3), stiffness, rng).at(x, y), cell


def test_every_mode_costs_a_half():
    """Of density exp(-E): E has the mean of half the number of degrees of freedom."""
    stiffness, counts = 40.0, np.fft.fftfreq(CELLS, 1 / CELLS)
    square = counts**2 + counts[:, None] ** 2
    freedom = np.sum((square > 0) & (square <= MODES**2))  # a cosine and a sine for each pair
    squares = [np.sum(by_x**2 + by_y**2) * cell**2 for (by_x, by_y), cell in fields(stiffness, 20)]
    error = np.sqrt(0.5 * freedom / 20)
    assert stiffness * np.mean(squares) == pytest.approx(0.5 * freedom, abs=4 * error)


def test_they_are_slopes_of_a_field_without_a_direction():
    for (by_x, by_y), _ in fields(40.0, 3):
        waves = 2j * np.pi * np.fft.fftfreq(CELLS)
        curl = waves[:, None] * np.fft.fft2(by_x) - waves * np.fft.fft2(by_y)
        assert np.abs(curl).max() < 1e-9 * np.abs(np.fft.fft2(by_x)).max()
    ratio = [np.mean(by_x**2) / np.mean(by_y**2) for (by_x, by_y), _ in fields(40.0, 20)]
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(("stiffness", "expected"), [(40.0, None), (1e-3, MOST)])
def test_logarithms_vary_no_more_than_those_of_shelves(stiffness, expected):
    variances = []
    for (by_x, by_y), cell in fields(stiffness, 40):
        k = 2j * np.pi * np.fft.fftfreq(CELLS, cell)
        square = np.abs(k) ** 2 + np.abs(k[:, None]) ** 2
        square[0, 0] = 1.0
        field = -(np.fft.fft2(by_x) * k + np.fft.fft2(by_y) * k[:, None]) / square
        variances.append(np.var(np.fft.ifft2(field).real))
    numbers = np.fft.fftfreq(CELLS, 1 / CELLS)
    n = numbers**2 + numbers[:, None] ** 2
    unit = 0.5 * np.sum(1 / n[(n > 0) & (n <= MODES**2)]) / (4 * np.pi**2)
    limit = expected or np.sqrt(unit / stiffness)
    assert np.sqrt(np.mean(variances)) == pytest.approx(limit, rel=0.1)


def test_positions_off_the_table_are_interpolated():
    rng = np.random.default_rng(0)
    field = RandomSlopes((0.0, 0.0), (SIDE, SIDE), 40.0, rng)
    cell = PERIODS * SIDE / CELLS
    x = cell * np.array([3.0, 3.5, 4.0])
    by_x, _ = field.at(x, np.full(3, 5 * cell))
    assert by_x[1] == pytest.approx(by_x[[0, 2]].mean())
