"""A small bay whose fields have formulas, and a stand-in for networks that knows fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace

import numpy as np

from xdiffice.adjoint.mesh import Mesh
from xdiffice.adjoint.prior import Prior
from xdiffice.forward.meshes import box_mesh
from xdiffice.forward.observed import ObservedShelf
from xdiffice.model.correction import Correction
from xdiffice.model.splines import SplineLattice
from xdiffice.nondimensional import shelf_scales
from xdiffice.observations.gather import gather
from xdiffice.observations.points import Observations, VelocityPoints
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.physics.jets import Jet
from xdiffice.physics.rheology import Anisotropic, Glen, Isotropic, Rheology
from xdiffice.physics.scales import Affine, Scales
from xdiffice.synthetic import confined_shelf

L = 40e3
STEP = 1e-4  # of the differences by which stand-ins have derivatives, over the shelf's length
Function = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class KnownModel:
    """Answers like `FittedModel`, with fields that are given as functions of x and y, m.

    Parameters
    ----------
    rheology : Rheology
        What the fields are.
    scales : Scales
        Units.
    motion : tuple of callable
        u, v, h, SI.
    fields : tuple of callable
        Fields of the rheology, SI.
    """

    rheology: Rheology
    scales: Scales
    motion: tuple[Function, Function, Function]
    fields: tuple[Function, ...]
    correction: Correction | None = None
    n_members: int = 1

    @property
    def model(self) -> SimpleNamespace:
        motion = SimpleNamespace(frequency=4.0, n_parameters=300)
        return SimpleNamespace(rheology=self.rheology, motion=motion)

    @property
    def region_scales(self) -> tuple[Scales, ...]:
        return (self.scales,)

    def member(self, k: int) -> KnownModel:
        return replace(self, n_members=1, correction=self.correction and self.correction.member(k))

    def jets(self, x, y, orders) -> list[Jet]:
        scales = self.scales
        units = (scales.speed, scales.speed, scales.thickness)
        found = [
            self._jet(lambda x, y, f=f, unit=unit: f(x, y) / unit, x, y, orders.motion)
            for f, unit in zip(self.motion, units, strict=True)
        ]
        for f, name in zip(self.fields, self.rheology.fields, strict=True):
            unit = self.rheology.unit_of(name, scales)
            log = lambda x, y, f=f, unit=unit: np.log(f(x, y) / unit)  # noqa: E731
            found.append(self._jet(log, x, y, orders.fields))
        if self.correction is None:
            return found
        return self.correction.applied(found, scales.x.to_unit(x), scales.y.to_unit(y))

    def evaluate(self, x, y, variables) -> dict[str, np.ndarray]:
        known = dict(zip(("x_velocity", "y_velocity", "thickness"), self.motion, strict=True))
        return {name: known[name](x, y) for name in variables}

    def _jet(self, function, x, y, order) -> Jet:
        if order == 0:
            return Jet(function(x, y))
        step = STEP * self.scales.length
        return Jet(
            function(x, y),
            (function(x + step, y) - function(x - step, y)) / (2 * STEP),
            (function(x, y + step) - function(x, y - step)) / (2 * STEP),
        )


# A box with a front, for linear algebra: its data are of no flow in particular.

SCALES = Scales(
    x=Affine(0.5 * L, 0.5 * L),
    y=Affine(0.0, 0.5 * L),
    u=Affine(1e-5, 2e-5),
    v=Affine(0.0, 1e-5),
    h=Affine(350.0, 60.0),
    constants=PhysicalConstants(),
)


def u(x, y):
    return 1e-5 + 6e-10 * x - 1e-5 * (2 * y / L) ** 2 * (1 + x / L)


def v(x, y):
    return 2e-10 * y + 3e-6 * np.sin(3 * x / L) * np.cos(2 * y / L)


def thickness(x, y):
    return 380 - 100 * x / L + 30 * np.cos(4 * y / L)


def stiffness(x, y):
    return 3e13 * (1 + 0.4 * np.sin(4 * x / L) * np.cos(3 * y / L))


def softness(x, y):
    return 2.5e13 * (1 + 0.3 * np.cos(3 * x / L + 5 * y / L))


def hardness(x, y):
    return 1e8 * (1 + 0.3 * np.sin(4 * x / L + 2 * y / L))


MODELS = {
    "isotropic": (Isotropic(), (stiffness,)),
    "anisotropic": (Anisotropic(), (stiffness, softness)),
    "glen": (Glen(), (hardness,)),
}


def model_of(name: str) -> KnownModel:
    rheology, fields = MODELS[name]
    return KnownModel(rheology, SCALES, (u, v, thickness), fields)


@cache
def box(cells: int = 6) -> Mesh:
    """Mesh of a box, observed at 150 places inside of it and a few outside."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-0.05 * L, L, 150), rng.uniform(-L / 2, L / 2, 150)
    mesh = box_mesh((0.0, L), (-L / 2, L / 2), L / cells)
    shelf = ObservedShelf(mesh, lambda x, y: x > L * (1 - 1e-9), (u, v))
    velocity = VelocityPoints(x, y, u(x, y), v(x, y))
    return Mesh(shelf, SCALES, velocity, rng.uniform(1e-7, 3e-7, (2, 150)))


def lattice_of(mesh: Mesh, spacing: float = 0.5) -> tuple[SplineLattice, np.ndarray]:
    """Splines of a mesh, and which of them it has."""
    points = mesh.response
    lattice = SplineLattice.covering(points.x, points.y, spacing)
    sums = np.asarray(lattice.matrix(points.x, points.y).sum(axis=0)).ravel()
    return lattice, np.flatnonzero(sums > 1e-3)


def prior_of(
    mesh: Mesh,
    rheology: Rheology,
    logs: list[Jet],
    spacing: float = 0.5,
    thickness_error: float = 0.01,
    reach: float = 0.4,
) -> Prior:
    lattice, used = lattice_of(mesh, spacing)
    points = mesh.response.x, mesh.response.y, mesh.response.weight
    return Prior(lattice, used, points, rheology, logs, thickness_error, reach)


# A bay that flows as it must.

# Where slow sides meet the front a mesh of pixels errs by percent of the velocity: these are fast.
BAY = {"shape": (24, 36), "length": 60e3, "width": 40e3, "side_speed": 1e-4}


def bay_viscosity(x, y):
    """Soft at the sides, with a stiff patch; two times as stiff as it is elsewhere."""
    patch = np.exp(-(((x - 30e3) / 12e3) ** 2) - ((y + 4e3) / 9e3) ** 2)
    return 2.5e13 * (1 + patch) * (1 - 1.2 * (y / 40e3) ** 2)


def bay_thickness(x, y):
    return 420 - 180 * np.sin(1.3 * x / 60e3) - 40 * (y / 20e3) ** 2


@cache
def bay(noise: float = 0.0, **changes) -> Observations:
    options = BAY | {"viscosity": bay_viscosity, "thickness": bay_thickness} | changes
    return gather(confined_shelf(options.pop("shape"), noise=noise, **options))


def bay_model(viscosity: Function, noise: float = 0.0) -> KnownModel:
    """Return the bay with its true thickness, and a viscosity; at rest, which does not matter."""
    scales = shelf_scales(bay(noise), PhysicalConstants())
    still = lambda x, y: np.zeros(np.shape(x))  # noqa: E731
    return KnownModel(Isotropic(), scales, (still, still, bay_thickness), (viscosity,))
