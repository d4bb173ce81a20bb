"""The control method: what an inversion for viscosity costs, and gives, without neural networks.

It is the classical inversion of the shallow-shelf equations (MacAyeal 1993,
doi 10.3189/S0022143000017744): finite elements for the velocity, the gradient by the adjoint
equation, L-BFGS, and a penalty on the gradient of log μ. It hands on the viscosity on the pixels
of a rectangular shelf, and as a script a table of errors, best of five weights of the penalty.

    python tests/benchmarks/control.py SynData_exp1.mat --noise 0 0.01 0.05 0.1 --seeds 0

Everything inside is nondimensional: lengths in the shelf's longest side L, velocity in the rms
speed U, thickness in its mean h0 and viscosity in ρ g' h0 L / U.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.interpolate import RegularGridInterpolator
from scipy.linalg import cho_solve_banded, cholesky_banded, eigh
from scipy.optimize import minimize, minimize_scalar

import xdiffice
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.results.comparison import relative_error

CELLS = (80, 50)
"""Number of cells along x and y."""

WEIGHTS = (1e-8, 1e-7, 1e-6, 3e-6, 1e-5)
"""Weights of the penalty. On SynData_exp1 the best grows from 1e-7, or less, without noise to 3e-6
with noise of 10 % of the rms speed."""

UNITS = {"x_velocity": "m s-1", "y_velocity": "m s-1", "thickness": "m", "x": "m", "y": "m"}

COLUMNS = ("shelf", "noise", "seed", "cells", "weight", "seconds", "viscosity")


def control_inversion(
    shelf: xr.Dataset,
    weight: float,
    cells: tuple[int, int] = CELLS,
    max_iterations: int = 200,
) -> xr.DataArray:
    """Infer the viscosity of a rectangular shelf by the control method.

    The velocity is held on all sides but the calving front. There the observed velocity is
    smoothed with the amount of smoothing that generalised cross-validation chooses.

    Parameters
    ----------
    shelf : xarray.Dataset
        In SI units, without gaps: ``x_velocity``, ``y_velocity`` and ``thickness`` on (y, x), and
        ``x_front``, ``y_front``, ``x_normal``, ``y_normal`` of a front that is one of the sides.
    weight : float
        Of the penalty, see `ControlProblem.objective`. It grows with the noise.
    cells : tuple of int
        Number of cells along x and y.
    max_iterations : int
        Of L-BFGS.

    Returns
    -------
    xarray.DataArray
        Viscosity in Pa s on the pixels of the velocity.

    Raises
    ------
    ValueError
        If the shelf has other units, gaps, or a front that is not one of its sides.
    """
    problem = ControlProblem(shelf, cells)
    found = minimize(
        problem.objective,
        problem.first_guess(),
        args=(weight,),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iterations, "maxcor": 30, "ftol": 1e-8, "gtol": 0.0},
    )
    return problem.viscosity(found.x)


def best_control(
    shelf: xr.Dataset,
    truth: xr.DataArray,
    weights: Sequence[float] = WEIGHTS,
    cells: tuple[int, int] = CELLS,
) -> tuple[float, float, float]:
    """Run the control method with several weights and keep the one closest to the truth.

    This is generous: nobody who inverts a real shelf can choose the weight, or count the time,
    like this.

    Parameters
    ----------
    shelf : xarray.Dataset
        As for `control_inversion`.
    truth : xarray.DataArray
        Viscosity, Pa s.
    weights : sequence of float
        Weights of the penalty to choose from.
    cells : tuple of int
        Number of cells along x and y.

    Returns
    -------
    tuple of float
        Relative L2 error of the viscosity, the weight, and the wall-clock seconds of the
        inversion with this weight alone, the assembly of the problem included.
    """
    runs = []
    for weight in weights:
        start = time.perf_counter()
        viscosity = control_inversion(shelf, weight, cells)
        seconds = time.perf_counter() - start
        runs.append((relative_error(viscosity, truth), weight, seconds))
    return min(runs)


class ControlProblem:
    """How well a viscosity explains the observed velocity, and in which direction to change it.

    The controls are log μ at the nodes, expanded in the modes of its penalty ∫|∇ log μ|² and
    scaled so that the penalty is nearly the sum of their squares. To L-BFGS this is a
    preconditioner: smooth changes come first, and the number of iterations does not depend on the
    mesh.

    Parameters
    ----------
    shelf : xarray.Dataset
        As for `control_inversion`.
    cells : tuple of int
        Number of cells along x and y.
    """

    def __init__(self, shelf: xr.Dataset, cells: tuple[int, int] = CELLS):
        _check(shelf)
        self._pixels = shelf["x_velocity"]
        shelf = shelf.sortby(["x", "y"]).transpose("x", "y", ...)
        x, y, u, v, thickness = (
            shelf[name].to_numpy().astype(float)
            for name in ("x", "y", "x_velocity", "y_velocity", "thickness")
        )
        self._sorted = shelf["x_velocity"]
        x_limits, y_limits, front = _rectangle(x, y, shelf)
        length = max(x_limits[1] - x_limits[0], y_limits[1] - y_limits[0])
        speed = np.sqrt(np.mean(u**2 + v**2))
        mean = thickness.mean()
        self.viscosity_unit = PhysicalConstants().driving_weight * mean * length / speed
        self.nodes = tuple(
            np.linspace(*limits, number + 1)
            for limits, number in zip((x_limits, y_limits), cells, strict=True)
        )
        along_x, along_y = (
            Line(number, (high - low) / length)
            for number, (low, high) in zip(cells, (x_limits, y_limits), strict=True)
        )
        x, y = (x - x_limits[0]) / length, (y - y_limits[0]) / length
        self._at_x, self._at_y = along_x.values(x), along_y.values(y)
        self.observed = np.stack([u, v], axis=-1) / speed

        gauss_x, gauss_y = along_x.gauss()[0], along_y.gauss()[0]
        interpolate = RegularGridInterpolator(
            (x, y), thickness / mean, bounds_error=False, fill_value=None
        )
        at_gauss = interpolate(np.stack(np.meshgrid(gauss_x, gauss_y, indexing="ij"), axis=-1))
        self._gauss_x, self._gauss_y = along_x.values(gauss_x), along_y.values(gauss_y)

        held = np.ones((cells[0] + 1, cells[1] + 1), dtype=bool)
        held[1:-1, 1:-1] = False
        sides = {"left": held[0], "right": held[-1], "bottom": held[:, 0], "top": held[:, -1]}
        sides[front][1:-1] = False
        self._state = StateEquation(along_x, along_y, at_gauss, held)
        smooth = smoothed(self.observed, (along_x, along_y), (x, y))
        self._boundary = np.where(held[..., None], smooth, 0.0)

        (rough_x, self._modes_x), (rough_y, self._modes_y) = along_x.modes(), along_y.modes()
        self._roughness = rough_x[:, None] + rough_y
        # The constant has no penalty; at 1 it is as free as a change over the whole shelf.
        self._scale = 1 / np.sqrt(self._roughness + 1.0)
        self._mass = along_x.mass(), along_y.mass()
        self._area = along_x.length * along_y.length

    def controls(self, log_viscosity: np.ndarray) -> np.ndarray:
        """Controls of a nondimensional log μ at the nodes, shape (nodes along x, along y)."""
        mass_x, mass_y = self._mass
        coefficients = self._modes_x.T @ mass_x @ log_viscosity @ mass_y @ self._modes_y
        return (coefficients / self._scale).ravel()

    def log_viscosity(self, controls: np.ndarray) -> np.ndarray:
        """Nondimensional log μ at the nodes."""
        return self._modes_x @ self._coefficients(controls) @ self._modes_y.T

    def viscosity(self, controls: np.ndarray) -> xr.DataArray:
        """Viscosity on the pixels, Pa s."""
        at_pixels = self._at_x @ self.log_viscosity(controls) @ self._at_y.T
        result = self._sorted.copy(data=self.viscosity_unit * np.exp(at_pixels)).rename("viscosity")
        result.attrs = {"units": "Pa s", "long_name": "effective viscosity"}
        return result.sel(x=self._pixels["x"], y=self._pixels["y"]).transpose(*self._pixels.dims)

    def velocity(self, controls: np.ndarray) -> np.ndarray:
        """Nondimensional velocity on the pixels, shape (x, y, 2)."""
        flow = self._state.solve(self._at_gauss(controls), self._boundary)
        return self._on_pixels(flow.velocity)

    def first_guess(self) -> np.ndarray:
        """Controls of the constant viscosity that explains the velocity best, within 10 %."""
        constant = self.controls(np.ones_like(self._roughness))

        def misfit(level: float) -> float:
            return float(np.mean((self.velocity(level * constant) - self.observed) ** 2))

        # The true scale can be far below the unit: how much the sides hold is not in it.
        found = minimize_scalar(misfit, bounds=(-7, 3), method="bounded", options={"xatol": 0.1})
        return found.x * constant

    def objective(self, controls: np.ndarray, weight: float) -> tuple[float, np.ndarray]:
        """Misfit plus penalty, ½ mean|u - u_obs|² / (U² weight) + ½ mean|L ∇ log μ|².

        Parameters
        ----------
        controls : ndarray
            See `controls`.
        weight : float
            Of the penalty. It divides the misfit, instead of multiplying the penalty, so that the
            sum is about 1 or more and tolerances need not know of the weight.

        Returns
        -------
        tuple of (float, ndarray)
            The sum, and its exact gradient by the controls.
        """
        viscosity = self._at_gauss(controls)
        flow = self._state.solve(viscosity, self._boundary)
        residual = self._on_pixels(flow.velocity) - self.observed
        coefficients = self._coefficients(controls)
        share = 1 / (weight * residual[..., 0].size)
        value = 0.5 * share * np.sum(residual**2)
        value += 0.5 * np.sum(self._roughness * coefficients**2) / self._area

        by_velocity = share * _both(self._at_x.T, residual, self._at_y)
        by_viscosity = self._state.gradient(flow, by_velocity)
        by_nodes = self._gauss_x.T @ (viscosity * by_viscosity) @ self._gauss_y
        gradient = self._modes_x.T @ by_nodes @ self._modes_y
        gradient += self._roughness * coefficients / self._area
        return float(value), (self._scale * gradient).ravel()

    def _coefficients(self, controls: np.ndarray) -> np.ndarray:
        return self._scale * controls.reshape(self._scale.shape)

    def _at_gauss(self, controls: np.ndarray) -> np.ndarray:
        return np.exp(self._gauss_x @ self.log_viscosity(controls) @ self._gauss_y.T)

    def _on_pixels(self, velocity: np.ndarray) -> np.ndarray:
        return _both(self._at_x, velocity, self._at_y.T)


@dataclass(frozen=True)
class Line:
    """Linear elements on a line; bilinear ones on a rectangle are products of two of them.

    Parameters
    ----------
    cells : int
        Number of elements.
    length : float
        Of the line, which begins at zero.
    """

    cells: int
    length: float

    def gauss(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions and weights of two points in each cell."""
        size = self.length / self.cells
        points, weights = np.polynomial.legendre.leggauss(2)
        positions = (np.arange(self.cells)[:, None] + (points + 1) / 2) * size
        return positions.ravel(), np.tile(weights / 2 * size, self.cells)

    def values(self, positions: np.ndarray) -> np.ndarray:
        """Matrix from the nodes to the values at the positions."""
        cell = self._cell(positions)
        inside = positions * self.cells / self.length - cell
        return self._matrix(cell, 1 - inside, inside)

    def slopes(self, positions: np.ndarray) -> np.ndarray:
        """Matrix from the nodes to the derivatives at the positions."""
        slope = np.full(len(positions), self.cells / self.length)
        return self._matrix(self._cell(positions), -slope, slope)

    def mass(self) -> np.ndarray:
        """Matrix of ∫ f g for f, g given at the nodes."""
        positions, weights = self.gauss()
        values = self.values(positions)
        return values.T @ (weights[:, None] * values)

    def modes(self) -> tuple[np.ndarray, np.ndarray]:
        """Cosines in all but name: each with ∫ f² = 1, and its ∫ (df/dx)²; all orthogonal."""
        positions, weights = self.gauss()
        slopes = self.slopes(positions)
        roughness, modes = eigh(slopes.T @ (weights[:, None] * slopes), self.mass())
        return np.maximum(roughness, 0.0), modes

    def _cell(self, positions: np.ndarray) -> np.ndarray:
        cell = np.floor(positions * self.cells / self.length).astype(int)
        return np.clip(cell, 0, self.cells - 1)

    def _matrix(self, cell: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        matrix = np.zeros((len(cell), self.cells + 1))
        rows = np.arange(len(cell))
        matrix[rows, cell], matrix[rows, cell + 1] = first, second
        return matrix


@dataclass(frozen=True)
class Flow:
    """A solution of the state equation, and what the adjoint equation needs of it.

    Parameters
    ----------
    velocity : ndarray
        At the nodes, shape (nodes along x, along y, 2).
    factor : ndarray
        Cholesky factor of the stiffness matrix, in banded form.
    """

    velocity: np.ndarray
    factor: np.ndarray


class StateEquation:
    """The shallow-shelf equations for a given viscosity, on bilinear elements.

    In weak form ∫ h T : ε(φ) = ∫ ½ h² div φ for all φ that vanish where the velocity is held; the
    pressure of the water at the front is in it. The matrix is linear in the viscosity at the Gauss
    points, and numbered along the shorter side its band is narrow enough for a banded Cholesky
    factorisation, which outruns a general sparse one here.

    Parameters
    ----------
    along_x, along_y : Line
        The mesh.
    thickness : ndarray
        At the Gauss points, shape (Gauss points along x, along y).
    held : ndarray of bool
        Nodes whose velocity is given.
    """

    def __init__(self, along_x: Line, along_y: Line, thickness: np.ndarray, held: np.ndarray):
        (x, weights_x), (y, weights_y) = along_x.gauss(), along_y.gauss()
        self._value_x, self._slope_x = along_x.values(x), along_x.slopes(x)
        self._value_y, self._slope_y = along_y.values(y), along_y.slopes(y)
        area = np.outer(weights_x, weights_y)
        self._volume = thickness * area
        push = 0.5 * thickness**2 * area
        self._load = self._divergence(np.stack([push, push, np.zeros_like(push)]))
        self._cells = (along_x.cells, along_y.cells)
        self._tensor = self._element_tensor()
        self._number_unknowns(held)

    def solve(self, viscosity: np.ndarray, boundary: np.ndarray) -> Flow:
        """Velocity for a viscosity at the Gauss points, and the held velocity (zero elsewhere)."""
        factor = self._factorise(viscosity)
        load = self._load - self._divergence(self._stress(viscosity, boundary))
        return Flow(boundary + self._back_substitute(factor, load), factor)

    def gradient(self, flow: Flow, by_velocity: np.ndarray) -> np.ndarray:
        """Turn the gradient by the velocity into that by the viscosity at the Gauss points."""
        adjoint = self._back_substitute(flow.factor, by_velocity)
        stress = self._stress(np.ones_like(self._volume), flow.velocity)
        return -np.sum(stress * self._strain(adjoint), axis=0)

    def _strain(self, velocity: np.ndarray) -> np.ndarray:
        """u_x, v_y and u_y + v_x at the Gauss points."""
        u, v = velocity[..., 0], velocity[..., 1]
        return np.stack(
            [
                self._slope_x @ u @ self._value_y.T,
                self._value_x @ v @ self._slope_y.T,
                self._value_x @ u @ self._slope_y.T + self._slope_x @ v @ self._value_y.T,
            ]
        )

    def _stress(self, viscosity: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        """T_xx, T_yy and T_xy, times the ice volume of the Gauss point."""
        u_x, v_y, shear = self._strain(velocity)
        stress = np.stack([4 * u_x + 2 * v_y, 4 * v_y + 2 * u_x, shear])
        return self._volume * viscosity * stress

    def _divergence(self, stress: np.ndarray) -> np.ndarray:
        """Force of the stress on the nodes: the transpose of `_strain`."""
        xx, yy, xy = stress
        return np.stack(
            [
                self._slope_x.T @ xx @ self._value_y + self._value_x.T @ xy @ self._slope_y,
                self._value_x.T @ yy @ self._slope_y + self._slope_x.T @ xy @ self._value_y,
            ],
            axis=-1,
        )

    def _element_tensor(self) -> np.ndarray:
        """Stiffness of a cell for unit ice volume at one of its Gauss points, shape (4, 8, 8)."""
        value_x, slope_x = self._value_x[:2, :2], self._slope_x[:2, :2]
        value_y, slope_y = self._value_y[:2, :2], self._slope_y[:2, :2]
        by_x = np.einsum("pa,qb->pqab", slope_x, value_y).reshape(4, 4)
        by_y = np.einsum("pa,qb->pqab", value_x, slope_y).reshape(4, 4)
        zero = np.zeros((4, 4))

        def of_unknowns(u: np.ndarray, v: np.ndarray) -> np.ndarray:
            return np.stack([u, v], axis=-1).reshape(4, 8)

        u_x, v_y, shear = of_unknowns(by_x, zero), of_unknowns(zero, by_y), of_unknowns(by_y, by_x)
        stress = np.stack([4 * u_x + 2 * v_y, 4 * v_y + 2 * u_x, shear])
        return np.einsum("sga,sgb->gab", np.stack([u_x, v_y, shear]), stress)

    def _number_unknowns(self, held: np.ndarray) -> None:
        """Number the free velocities, and find where each cell's entries go in the band."""
        self._shape = (*held.shape, 2)
        unknown = np.arange(2 * held.size).reshape(self._shape)
        ordered = (unknown if held.shape[0] >= held.shape[1] else unknown.swapaxes(0, 1)).ravel()
        free = ~np.repeat(held.ravel(), 2)
        self._free = ordered[free[ordered]]
        number = np.full(unknown.size, -1)
        number[self._free] = np.arange(len(self._free))
        number = number.reshape(self._shape)
        corners = np.stack(
            [number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]], axis=2
        ).reshape(-1, 8)
        row, column = corners[:, :, None], corners[:, None, :]
        row, column = np.broadcast_arrays(row, column)
        used = (row >= column) & (column >= 0)
        self._used = np.flatnonzero(used)
        offset = (row - column)[used]
        self._band = (int(offset.max()) + 1, len(self._free))
        self._place = offset * self._band[1] + column[used]

    def _factorise(self, viscosity: np.ndarray) -> np.ndarray:
        n_x, n_y = self._cells
        stiff = (self._volume * viscosity).reshape(n_x, 2, n_y, 2).swapaxes(1, 2).reshape(-1, 4)
        entries = (stiff @ self._tensor.reshape(4, 64)).ravel()[self._used]
        band = np.bincount(self._place, entries, minlength=self._band[0] * self._band[1])
        return cholesky_banded(
            band.reshape(self._band), lower=True, overwrite_ab=True, check_finite=False
        )

    def _back_substitute(self, factor: np.ndarray, load: np.ndarray) -> np.ndarray:
        """Solve for the free velocities; the others are zero."""
        result = np.zeros(self._shape)
        result.ravel()[self._free] = cho_solve_banded(
            (factor, True), load.ravel()[self._free], check_finite=False
        )
        return result


def smoothed(
    observed: np.ndarray, lines: tuple[Line, Line], positions: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Fit the nodes to all pixels, with a penalty on their second differences (P-splines).

    The weight of the penalty is that of the least generalised cross-validation (Craven & Wahba
    1979, doi 10.1007/BF01404567), one for each component: noise is smoothed away, and data without
    noise are left alone.

    Parameters
    ----------
    observed : ndarray
        Values on the pixels, shape (pixels along x, along y, components).
    lines : tuple of Line
        The mesh along x and y.
    positions : tuple of ndarray
        Of the pixels, along x and y.

    Returns
    -------
    ndarray
        Values at the nodes, shape (nodes along x, along y, components).
    """
    bases, modes, roughness = [], [], []
    for line, places in zip(lines, positions, strict=True):
        values = line.values(places)
        bend = np.diff(np.eye(line.cells + 1), n=2, axis=0) * (line.cells / line.length) ** 2
        # The tiny extra keeps a mesh solvable that has nodes without a pixel beside them.
        normal = values.T @ values + 1e-9 * np.eye(line.cells + 1)
        rough, mode = eigh(bend.T @ bend * line.length / line.cells, normal)
        bases.append(values @ mode)
        modes.append(mode)
        roughness.append(np.maximum(rough, 0.0) * len(places))
    total_roughness = roughness[0][:, None] + roughness[1]
    fitted = []
    for values in np.moveaxis(observed, -1, 0):
        coefficients = bases[0].T @ values @ bases[1]

        def score(kept: np.ndarray, values=values, coefficients=coefficients) -> float:
            rest = np.sum(values**2) - np.sum((2 - kept) * kept * coefficients**2)
            return rest / (values.size - kept.sum()) ** 2

        choices = (1 / (1 + weight * total_roughness) for weight in np.logspace(-14, 2, 65))
        kept = min(choices, key=score)
        fitted.append(modes[0] @ (kept * coefficients) @ modes[1].T)
    return np.stack(fitted, axis=-1)


def _both(left: np.ndarray, field: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Apply ``left @ . @ right`` to both components of a field of shape (n_x, n_y, 2)."""
    return np.stack([left @ field[..., i] @ right for i in range(2)], axis=-1)


def _check(shelf: xr.Dataset) -> None:
    for name, expected in UNITS.items():
        units = shelf[name].attrs.get("units", expected)
        if units != expected:
            raise ValueError(f"{name} is in {units!r}; the control method takes {expected!r}.")
        if bool(shelf[name].isnull().any()):
            raise ValueError(f"{name} has gaps; the control method takes full rectangles.")


def _rectangle(
    x: np.ndarray, y: np.ndarray, shelf: xr.Dataset
) -> tuple[tuple[float, float], tuple[float, float], str]:
    """Limits of the mesh, and which side is the front.

    The held sides run through the outermost pixel centres, so that no velocity is extrapolated;
    the front is where the Dataset has it.
    """
    normal = float(shelf["x_normal"].mean()), float(shelf["y_normal"].mean())
    limits = [[x[0], x[-1]], [y[0], y[-1]]]
    axis = int(abs(normal[1]) > abs(normal[0]))
    if abs(normal[axis]) < 0.99:
        raise ValueError(
            f"the front's mean normal is ({normal[0]:.2f}, {normal[1]:.2f}); the control method "
            "takes a front that is one side of the rectangle."
        )
    far = normal[axis] > 0
    front = shelf["y_front" if axis else "x_front"].to_numpy()
    limits[axis][int(far)] = float(front.max() if far else front.min())
    side = (("left", "right"), ("bottom", "top"))[axis][int(far)]
    return (limits[0][0], limits[0][1]), (limits[1][0], limits[1][1]), side


def main() -> None:
    """Print a table of errors."""
    from shelves import shelf_from, with_noise  # beside this file, on the path of a script only

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="with a true viscosity")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0], help="of the rms speed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the noise")
    parser.add_argument("--cells", type=int, nargs=2, default=CELLS, help="along x and y")
    parser.add_argument("--weights", type=float, nargs="+", default=WEIGHTS)
    arguments = parser.parse_args()
    cells = (arguments.cells[0], arguments.cells[1])
    print(f"{platform.machine()}, {os.cpu_count()} cores, xdiffice {xdiffice.__version__}")
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + " --- |" * len(COLUMNS))
    for source in arguments.files or [None]:
        name, shelf = shelf_from(source)
        for noise in arguments.noise:
            # Without noise all seeds are one.
            for seed in arguments.seeds if noise else arguments.seeds[:1]:
                observed = with_noise(shelf, noise, seed)
                error, weight, seconds = best_control(
                    observed, shelf["viscosity"], arguments.weights, cells
                )
                row = [name, f"{100 * noise:g} %", str(seed), f"{cells[0]} x {cells[1]}"]
                row += [f"{weight:g}", f"{seconds:.1f}", f"{100 * error:.2f} %"]
                print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
