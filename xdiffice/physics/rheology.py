"""What stress a strain rate causes: which fields a rheology has, and how they make viscosities.

One stress law serves every rheology, T = 2 μ_h ε + 2 μ_v tr(ε) I (Wang et al. 2025, doi
10.1126/science.adp3300). A rheology says which positive fields are unknown and how they and the
motion make μ_h and μ_v. Another one is a class that inherits from `Rheology`; it must be hashable,
as frozen dataclasses are, for it is part of what is compiled.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

import jax.numpy as jnp

from xdiffice.errors import ParameterError
from xdiffice.physics.jets import Array, Jet
from xdiffice.physics.scales import Scales
from xdiffice.physics.ssa import effective_strain_rate_squared


class Quantity(NamedTuple):
    """What an unknown field is called and measured in, where it is no viscosity.

    Parameters
    ----------
    units : str
        SI units, as CF writes them.
    long_name : str
        What it is, for the attributes of the output.
    comment : str
        More about it, such as a formula.
    """

    units: str
    long_name: str
    comment: str = ""


class Rheology(ABC):
    """The unknown positive fields of a rheology, and the viscosities made of them.

    Attributes
    ----------
    fields : tuple of str
        Names of the unknown fields, in the order of the network's outputs.
    viscosity_names : tuple of str
        ``("viscosity",)``, or names of μ_h and μ_v where these differ.
    quantities : mapping of str to Quantity
        Descriptions of those fields that are not among the viscosities.
    needs_strain_rate : bool
        Whether viscosities depend on derivatives of the velocity.
    """

    fields: ClassVar[tuple[str, ...]]
    viscosity_names: ClassVar[tuple[str, ...]] = ("viscosity",)
    needs_strain_rate: ClassVar[bool] = False

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """None, where all fields are viscosities."""
        return {}

    def unit_of(self, field: str, scales: Scales) -> float:
        """SI value of one nondimensional unit of a field: μ0, Pa s, if it is a viscosity.

        Parameters
        ----------
        field : str
            One of ``fields``.
        scales : Scales
            Units of the shelf.

        Returns
        -------
        float
            In the units of its `Quantity`.
        """
        del field
        return scales.viscosity

    def nondimensional(self, scales: Scales) -> Rheology:
        """Return the rheology with its SI numbers, if it has any, in the units of a shelf.

        They become part of what is compiled, anew for every shelf.

        Parameters
        ----------
        scales : Scales
            Units of the shelf.

        Returns
        -------
        Rheology
            This one, where it has no numbers of its own.
        """
        del scales
        return self

    def penalty(self, fields: tuple[Jet, ...]) -> Array | None:
        """Say what is preferred among fields that the equations cannot tell apart.

        Parameters
        ----------
        fields : tuple of Jet
            As in `viscosities`, inside the shelf.

        Returns
        -------
        Array or None
            At every point, what is to be small on the mean; None where nothing is preferred. Its
            weight in the loss falls during the training to the estimator's ``penalty_weight``.
        """
        del fields
        return None

    @abstractmethod
    def viscosities(self, fields: tuple[Jet, ...], u: Jet, v: Jet) -> tuple[Jet, Jet]:
        """Make μ_h and μ_v.

        Parameters
        ----------
        fields : tuple of Jet
            The unknown fields, nondimensional and positive; with first derivatives inside the
            shelf and without any at its front.
        u, v : Jet
            Velocity in units of U; with one more order of derivatives than the fields.

        Returns
        -------
        tuple of Jet
            μ_h and μ_v in units of μ0, with as many derivatives as the fields.
        """


@dataclass(frozen=True)
class Isotropic(Rheology):
    """One viscosity in all directions: μ_h = μ_v = μ."""

    fields: ClassVar = ("viscosity",)

    def viscosities(self, fields: tuple[Jet, ...], u: Jet, v: Jet) -> tuple[Jet, Jet]:
        """Hand on μ twice."""
        del u, v
        (mu,) = fields
        return mu, mu


@dataclass(frozen=True)
class Anisotropic(Rheology):
    """Two viscosities: μ_h for horizontal, μ_v for vertical deformation.

    The flow does not determine both: T is linear in the pair, and (0, ρ g' h / (4 tr ε)) solves the
    equations for every spreading flow, hence so does every mixture with it. What is returned is
    the pair that is as isotropic as the flow allows, in the sense of the penalty (Wang et al. 2025,
    doi 10.1126/science.adp3300).

    Parameters
    ----------
    form : {"log_ratio", "square_root"}
        (log μ_h - log μ_v)², which is infinite where one viscosity vanishes; or
        (√μ_h - √μ_v)² / 4 in units of μ0 (Wang et al. 2025), which is not: with a small weight
        training may end without horizontal viscosity.
    """

    form: Literal["log_ratio", "square_root"] = "log_ratio"
    fields: ClassVar = ("viscosity_horizontal", "viscosity_vertical")
    viscosity_names: ClassVar = ("viscosity_horizontal", "viscosity_vertical")

    def __post_init__(self) -> None:
        if self.form not in ("log_ratio", "square_root"):
            raise ParameterError(f"{self!r}: form must be 'log_ratio' or 'square_root'")

    def penalty(self, fields: tuple[Jet, ...]) -> Array:
        """Square of the difference of the logarithms, or of the roots."""
        horizontal, vertical = (field.value for field in fields)
        if self.form == "square_root":
            return (horizontal**0.5 - vertical**0.5) ** 2 / 4
        return jnp.log(horizontal / vertical) ** 2

    def viscosities(self, fields: tuple[Jet, ...], u: Jet, v: Jet) -> tuple[Jet, Jet]:
        """Hand on both fields."""
        del u, v
        horizontal, vertical = fields
        return horizontal, vertical


@dataclass(frozen=True)
class Glen(Rheology):
    """Glen's flow law with unknown hardness B: μ = ½ B (ε_e² + ε_0²)^((1/n - 1) / 2).

    What is smooth is B, which changes with temperature, fabric and damage; the viscosity follows
    the strain rate.

    Parameters
    ----------
    n : float
        Exponent, at least 1; with 1 the hardness is twice the viscosity.
    floor : float
        ε_0 in units of the shelf's own strain rate U / L (`Scales`): without it the viscosity of
        ice at rest would be infinite.
    """

    n: float = 3.0
    floor: float = 1e-3
    fields: ClassVar = ("hardness",)
    needs_strain_rate: ClassVar = True

    def __post_init__(self) -> None:
        if not (self.n >= 1 and self.floor > 0):
            raise ParameterError(f"{self!r}: n must be at least 1, and floor positive")

    @property
    def quantities(self) -> Mapping[str, Quantity]:
        """B (1 s-1)^(1/n), Pa, of which B in Pa s^(1/n) has the same numbers."""
        return {
            "hardness": Quantity(
                "Pa",
                "depth-averaged hardness of ice in Glen's flow law, as effective stress at an "
                "effective strain rate of 1 s-1",
                f"viscosity = 0.5 B effective_strain_rate^(1/n - 1), n = {self.n:g}; these are "
                "the numbers of B in Pa s^(1/n), a unit that CF cannot express",
            )
        }

    def unit_of(self, field: str, scales: Scales) -> float:
        """Return μ0 (U / L)^(1 - 1/n), which is 1 in the units of the shelf."""
        del field
        return float(scales.viscosity * scales.strain_rate ** (1 - 1 / self.n))

    def viscosities(self, fields: tuple[Jet, ...], u: Jet, v: Jet) -> tuple[Jet, Jet]:
        """Make μ of the hardness and the strain rate, twice."""
        (hardness,) = fields
        power = (1 / self.n - 1) / 2
        square = effective_strain_rate_squared(u.x, u.y, v.x, v.y) + self.floor**2
        rate = square**power
        value = 0.5 * hardness.value * rate
        if hardness.x is None:
            mu = Jet(value)
        else:
            square_x, square_y = _slope_of_square(u, v)
            change = power * value / square
            mu = Jet(
                value,
                0.5 * hardness.x * rate + change * square_x,
                0.5 * hardness.y * rate + change * square_y,
            )
        return mu, mu


def _slope_of_square(u: Jet, v: Jet) -> tuple[Array, Array]:
    """∂_x and ∂_y of ε_e²."""
    along_u, along_v, shear = 2 * u.x + v.y, 2 * v.y + u.x, 0.5 * (u.y + v.x)
    return (
        along_u * u.xx + along_v * v.xy + shear * (u.xy + v.xx),
        along_u * u.xy + along_v * v.yy + shear * (u.yy + v.xy),
    )


RHEOLOGIES: Mapping[str, Rheology] = MappingProxyType(
    {"isotropic": Isotropic(), "anisotropic": Anisotropic(), "glen": Glen()}
)
"""Those that have a name."""


def in_units_of(
    scales: Scales, jets: Sequence[Jet], given: Scales, rheology: Rheology
) -> list[Jet]:
    """Bring the fields of one region into the units of another, or of the whole shelf.

    Parameters
    ----------
    scales : Scales
        Units that are wanted.
    jets : sequence of Jet
        u, v, h and the logarithms of the rheology's fields, in the units of `given`.
    given : Scales
        Units that they have.
    rheology : Rheology
        What fields there are.

    Returns
    -------
    list of Jet
    """
    factors = [given.speed / scales.speed] * 2 + [given.thickness / scales.thickness]
    found = [jet.scaled(factor) for jet, factor in zip(jets[:3], factors, strict=True)]
    for log, field in zip(jets[3:], rheology.fields, strict=True):
        unit = rheology.unit_of(field, given) / rheology.unit_of(field, scales)
        found.append(log.scaled(1.0, math.log(unit)))
    return [jet.per(scales.length / given.length) for jet in found]
