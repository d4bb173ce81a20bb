"""What Glen's flow law makes of a viscosity: hardness, fluidity, enhancement, and its exponent.

It takes a Dataset with viscosity and effective strain rate, such as a prediction, and hands on
labelled arrays on the same coordinates, lazily where it is lazy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..errors import (
    DataValuesError,
    InputTypeError,
    ParameterError,
    PlausibilityWarning,
    VariableNotFoundError,
    warn,
)
from ..observations.projection import mapping_of
from ..observations.units import factor, magnitude

# Cuffey & Paterson (2010), The Physics of Glaciers, equation 3.35 and table 3.4.
A_AT_263_K = 3.5e-25  # Pa-3 s-1
T_STAR = 263.15  # K, -10 degrees Celsius
Q_COLD, Q_WARM = 60e3, 115e3  # J mol-1, below and above T_STAR
GAS_CONSTANT = 8.314  # J mol-1 K-1
MELTING = 273.15  # K
RESAMPLED = 400  # times, for an interval
FEWEST_BLOCKS = 8


def hardness(result: xr.Dataset, n: float = 3.0, *, viscosity: str = "viscosity") -> xr.DataArray:
    """Hardness B of Glen's law, B = 2 μ ε_e^(1 - 1/n).

    Parameters
    ----------
    result : xarray.Dataset
        Viscosity, Pa s, and ``effective_strain_rate``, s-1.
    n : float
        Exponent of the flow law, at least 1.
    viscosity : str
        Which variable, ``"viscosity_horizontal"`` of anisotropic ice.

    Returns
    -------
    xarray.DataArray
        ``hardness``: B (1 s-1)^(1/n), Pa, which has the numbers of B in Pa s^(1/n), a unit that CF
        cannot express. NaN where there is no viscosity.

    Raises
    ------
    VariableNotFoundError
        Viscosity or strain rate is missing.
    UnitsError
        One of them has no units, or others than viscosity and strain rate have.
    ParameterError
        n is below 1.

    Examples
    --------
    >>> import xarray as xr
    >>> result = xr.Dataset(
    ...     {
    ...         "viscosity": ((), 5e13, {"units": "Pa s"}),
    ...         "effective_strain_rate": ((), 1e-9, {"units": "s-1"}),
    ...     }
    ... )
    >>> print(f"{float(hardness(result)):.3g}")
    1e+08
    """
    mu, rate = _fields(result, n, viscosity)
    found = (2 * mu * rate ** (1 - 1 / n)).rename("hardness")
    found.attrs = _attrs(
        mu,
        "Pa",
        "depth-averaged hardness of ice in Glen's flow law, as effective stress at an effective "
        "strain rate of 1 s-1",
        f"2 viscosity effective_strain_rate^(1 - 1/n), n = {n:g}: the numbers of B in Pa s^(1/n)",
    )
    return found


def fluidity(result: xr.Dataset, n: float = 3.0, *, viscosity: str = "viscosity") -> xr.DataArray:
    """Fluidity A of Glen's law, A = B^(-n).

    Parameters
    ----------
    result : xarray.Dataset
        As in `hardness`.
    n : float
        Exponent of the flow law, at least 1.
    viscosity : str
        As in `hardness`.

    Returns
    -------
    xarray.DataArray
        ``fluidity``, Pa-n s-1 if n is a whole number. If not, A (1 Pa)^n, s-1, which has the same
        numbers: CF has whole powers only. NaN where there is no viscosity.

    Raises
    ------
    VariableNotFoundError, UnitsError, ParameterError
        As in `hardness`.
    """
    stiff = hardness(result, n, viscosity=viscosity)
    found = (stiff**-n).rename("fluidity")
    found.attrs = _attrs(
        stiff,
        f"Pa-{n:g} s-1" if n == round(n) else "s-1",
        "fluidity A of ice in Glen's flow law",
        f"A = hardness^(-n), n = {n:g}, stress in Pa",
    )
    return found


def fluidity_of_temperature(temperature: Any) -> Any:
    """Fluidity of isotropic ice by its temperature, for n = 3.

    Cuffey & Paterson (2010), equation 3.35, without the pressure's effect on the melting point,
    which is below 1 K in a shelf.

    Parameters
    ----------
    temperature : float, or xarray.DataArray with units
        K; an array in any unit of temperature.

    Returns
    -------
    float or xarray.DataArray
        Pa-3 s-1.

    Raises
    ------
    DataValuesError
        Warmer than melting, or not positive: it is perhaps in degrees Celsius.
    UnitsError
        The array has no units.

    Examples
    --------
    >>> print(f"{fluidity_of_temperature(263.15):.2g}")
    3.5e-25
    """
    kelvin = _kelvin(temperature)
    outside = (kelvin <= 150) | (kelvin > MELTING + 0.5)
    if bool(np.any(outside)):
        raise DataValuesError(
            "temperature of ice is expected between 150 and 273.65 K; found "
            f"{float(np.nanmin(kelvin)):.4g} to {float(np.nanmax(kelvin)):.4g} K"
        )
    energy = np.where(kelvin < T_STAR, Q_COLD, Q_WARM)
    found = A_AT_263_K * np.exp(-energy / GAS_CONSTANT * (1 / kelvin - 1 / T_STAR))
    if not isinstance(temperature, xr.DataArray):
        return float(found) if np.ndim(found) == 0 else found
    named = temperature.copy(data=found).rename("fluidity")
    named.attrs = {
        "units": "Pa-3 s-1",
        "long_name": "fluidity A of isotropic ice by its temperature",
        "references": "Cuffey & Paterson (2010), equation 3.35",
    }
    return named


def enhancement(
    result: xr.Dataset, temperature: Any, *, viscosity: str = "viscosity"
) -> xr.DataArray:
    """How much softer the ice is than isotropic ice of a temperature: A / A(T), for n = 3.

    Parameters
    ----------
    result : xarray.Dataset
        As in `hardness`.
    temperature : float, or xarray.DataArray with units
        As in `fluidity_of_temperature`: a depth average, on the coordinates of the result.
    viscosity : str
        As in `hardness`.

    Returns
    -------
    xarray.DataArray
        ``enhancement``, 1.

    Raises
    ------
    VariableNotFoundError, UnitsError, DataValuesError
        As in `hardness` and `fluidity_of_temperature`.
    """
    soft = fluidity(result, viscosity=viscosity)
    found: xr.DataArray = (soft / fluidity_of_temperature(temperature)).rename("enhancement")
    found.attrs = _attrs(
        soft,
        "1",
        "fluidity relative to that of isotropic ice of the same temperature",
        "n = 3; Cuffey & Paterson (2010), equation 3.35",
    )
    return found


def flow_exponent(
    result: xr.Dataset,
    where: xr.DataArray | None = None,
    *,
    degree: int = 2,
    confidence: float = 0.9,
    blocks: int = 64,
    random_state: int = 0,
    viscosity: str = "viscosity",
) -> xr.Dataset:
    """Fit the exponent n of the flow law over a region (as Wang et al. 2025 do).

    log τ_e = log B + (1/n) log ε_e with τ_e = 2 μ ε_e, by least squares, where log B is a
    polynomial of the coordinates: hardness that changes over the region is not taken for a
    dependence on the strain rate. Errors of neighbouring pixels are alike: the interval comes from
    drawing blocks of the region, not pixels, with replacement (block bootstrap).

    It says something about the ice only where viscosity was not inferred with a given exponent,
    and where strain rates vary in another way than the hardness does.

    Parameters
    ----------
    result : xarray.Dataset
        As in `hardness`.
    where : xarray.DataArray of bool, optional
        The region; everywhere if not given.
    degree : int
        Of the polynomial; 0 for one hardness.
    confidence : float
        Of the interval.
    blocks : int
        About how many blocks the region is divided into. They should be at least twice as long as
        errors of the viscosity are alike, or the interval is too narrow.
    random_state : int
        Decides which are drawn.
    viscosity : str
        As in `hardness`.

    Returns
    -------
    xarray.Dataset
        ``inverse_exponent``, the slope 1/n that is fitted, ``exponent``, and the interval of each
        on dim ``bound``: ``inverse_exponent_interval`` and ``exponent_interval``. Where that of 1/n
        reaches zero ``exponent`` is NaN, and its interval has no upper end (infinity); where it is
        all below zero that is NaN, too. Attributes ``n_pixels``, ``n_blocks``.

    Raises
    ------
    DataValuesError
        Too few pixels, or strain rates that do not vary.
    VariableNotFoundError, UnitsError, ParameterError
        As in `hardness`; a degree, a confidence or a number that cannot be.

    Warns
    -----
    PlausibilityWarning
        The region does not determine the exponent.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> strain_rate = 1e-9 * (1.5 + np.sin(np.arange(1600.0))).reshape(40, 40)
    >>> stress = 1e8 * strain_rate ** (1 / 3)
    >>> result = xr.Dataset(
    ...     {
    ...         "viscosity": (("y", "x"), stress / (2 * strain_rate), {"units": "Pa s"}),
    ...         "effective_strain_rate": (("y", "x"), strain_rate, {"units": "s-1"}),
    ...     }
    ... )
    >>> print(f"{float(flow_exponent(result)['exponent']):.3f}")
    3.000
    """
    if not (degree >= 0 and 0 < confidence < 1 and blocks >= FEWEST_BLOCKS):
        raise ParameterError(
            f"degree={degree}, confidence={confidence}, blocks={blocks}: must be at least 0, "
            f"between 0 and 1, and at least {FEWEST_BLOCKS}"
        )
    strain, stress, at = _logarithms(result, where, viscosity)
    design = np.stack([strain, *_polynomial(at, degree)], 1)
    block = _numbered_blocks(design, at, degree, blocks)
    slope = float(np.linalg.lstsq(design, stress)[0][0])
    tail = (1 - confidence) / 2
    slopes = _resampled(design, stress, block, slope, random_state)
    low, high = np.quantile(slopes, [tail, 1 - tail])
    if low <= 0:
        warn(
            "the region does not determine the exponent of the flow law: the fit has 1/n = "
            f"{slope:.3g}, {confidence:.0%} interval {low:.3g} to {high:.3g}; exponent is NaN. "
            "Choose with where= a region in which the strain rate varies in another way than the "
            "hardness does",
            PlausibilityWarning,
        )
    return _exponents(
        (slope, float(low), float(high)),
        f"tau_e = B effective_strain_rate^(1/n), log B a polynomial of degree {degree}",
        f"{confidence:.0%} interval, from blocks",
        {"n_pixels": len(design), "n_blocks": int(block.max()) + 1},
    )


def _logarithms(
    result: xr.Dataset, where: xr.DataArray | None, viscosity: str
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return log strain rate and log stress where both are known, and the positions of these."""
    mu, rate = _fields(result, 1.0, viscosity)
    if where is not None:
        if not isinstance(where, xr.DataArray):
            raise InputTypeError(f"where is a DataArray of bool, not {type(where).__name__}")
        mu = mu.where(where)
    table = xr.Dataset({"mu": mu, "rate": rate})
    known = ((table["mu"] > 0) & (table["rate"] > 0)).values.ravel()
    stress = np.log(2 * (table["mu"] * table["rate"]).values.ravel()[known])
    strain = np.log(table["rate"].values.ravel()[known])
    places = [np.broadcast_to(p, mu.shape).ravel() for p in np.indices(mu.shape)]
    return strain, stress, [_unit(place[known].astype(float)) for place in places]


def _numbered_blocks(
    design: np.ndarray, at: list[np.ndarray], degree: int, blocks: int
) -> np.ndarray:
    """Return the block of every pixel, numbered without gaps, if the region allows a fit."""
    strain, terms = design[:, 0], design[:, 1:]
    least = 10 * design.shape[1]
    if len(design) < least:
        raise DataValuesError(
            f"{len(design)} pixels with viscosity and strain rate; at least "
            f"{least} are needed for a polynomial of degree {degree}"
        )
    rest = strain - terms @ np.linalg.lstsq(terms, strain)[0]
    names, block = np.unique(_block(at, blocks), return_inverse=True)
    if np.sum(rest**2) < 1e-12 * np.sum(strain**2) or len(names) < FEWEST_BLOCKS:
        raise DataValuesError(
            "the strain rate does not vary over the region in another way than a polynomial does; "
            "choose a larger region or a smaller degree"
        )
    return block


def _resampled(
    design: np.ndarray, stress: np.ndarray, block: np.ndarray, slope: float, random_state: int
) -> np.ndarray:
    """Return slopes of blocks that are drawn with replacement."""
    n = int(block.max()) + 1
    # Normal equations of every block: those of a resample are their sums.
    left = np.zeros((n, design.shape[1], design.shape[1]))
    right = np.zeros((n, design.shape[1], 1))
    np.add.at(left, block, design[:, :, None] * design[:, None, :])
    np.add.at(right, block, (design * stress[:, None])[:, :, None])
    draw = np.random.default_rng(random_state).multinomial
    times = draw(n, np.full(n, 1 / n), size=RESAMPLED)
    sums = (np.tensordot(times, part, 1) for part in (left, right))
    slopes = np.linalg.solve(*sums)[:, 0, 0]
    # Blocks lose a degree of freedom for each number that is fitted to them.
    wider = np.sqrt(n / max(n - design.shape[1], 1))
    widened: np.ndarray = slope + wider * (slopes - slope)
    return widened


def _exponents(
    inverse: tuple[float, float, float], law: str, interval: str, attrs: dict[str, int]
) -> xr.Dataset:
    """Label 1/n, with the ends of its interval, and n as far as it follows.

    Exponents are positive. 1/n near zero is a large n, which nothing bounds if zero is possible; of
    an interval that is all below zero no n is left.
    """
    slope, low, high = inverse
    exponent, ends = np.nan, [np.nan, np.nan]
    if low > 0:
        exponent, ends = 1 / slope, [1 / high, 1 / low]
    elif high > 0:
        ends = [1 / high, np.inf]
    return xr.Dataset(
        {
            "exponent": ((), exponent, {"units": "1", "comment": law}),
            "exponent_interval": ("bound", ends, {"units": "1", "comment": interval}),
            "inverse_exponent": ((), slope, {"units": "1", "comment": f"1/n; {law}"}),
            "inverse_exponent_interval": (
                "bound",
                [low, high],
                {"units": "1", "comment": interval},
            ),
        },
        attrs=attrs,
    )


def _fields(result: xr.Dataset, n: float, viscosity: str) -> tuple[xr.DataArray, xr.DataArray]:
    """Return viscosity, Pa s, and effective strain rate, s-1."""
    if not n >= 1:
        raise ParameterError(f"n={n!r}: must be at least 1")
    missing = [name for name in (viscosity, "effective_strain_rate") if name not in result]
    if missing:
        raise VariableNotFoundError(
            f"{', '.join(missing)} not found; the Dataset has "
            f"{', '.join(map(str, result.data_vars)) or 'no variables'}; pass a prediction, and "
            "viscosity='viscosity_horizontal' for anisotropic ice"
        )
    fields = []
    for name, si in ((viscosity, "Pa s"), ("effective_strain_rate", "s-1")):
        array = result[name]
        scale = factor(array.attrs.get("units"), si, name)
        fields.append(array.copy(data=magnitude(array) * scale))
    # xarray's decode_coords="all" has moved it to the encoding, which arithmetic loses.
    mapping = mapping_of(result[viscosity], result)
    if mapping is not None:
        fields[0].attrs["grid_mapping"] = mapping
    return fields[0], fields[1]


def _kelvin(temperature: Any) -> Any:
    """Return the temperature in K."""
    if not isinstance(temperature, xr.DataArray):
        return np.asarray(temperature, float)
    units = str(temperature.attrs.get("units", ""))
    celsius = {"degc", "deg_c", "celsius", "degree_celsius", "degrees_celsius", "°c", "c"}
    if units.strip().lower() in celsius:
        return temperature.values + MELTING
    return temperature.values * factor(units or None, "K", str(temperature.name or "temperature"))


def _attrs(like: xr.DataArray, units: str, long_name: str, comment: str) -> dict[str, str]:
    kept = {key: like.attrs[key] for key in ("grid_mapping",) if key in like.attrs}
    return {"units": units, "long_name": long_name, "comment": comment, **kept}


def _unit(place: np.ndarray) -> np.ndarray:
    """Return positions from -1 to 1."""
    low, high = place.min(initial=0.0), place.max(initial=0.0)
    scaled: np.ndarray = 2 * (place - low) / ((high - low) or 1.0) - 1
    return scaled


def _polynomial(at: list[np.ndarray], degree: int) -> list[np.ndarray]:
    """Return all products of powers, up to a degree in total."""
    powers = np.indices((degree + 1,) * len(at)).reshape(len(at), -1).T
    return [
        np.prod([x**p for x, p in zip(at, power, strict=True)], axis=0)
        for power in powers
        if power.sum() <= degree
    ]


def _block(at: list[np.ndarray], blocks: int) -> np.ndarray:
    """Return the number of the block of each place: squares of equal sides."""
    side = max(1, round(blocks ** (1 / len(at))))
    index = np.zeros(at[0].size, int)
    for place in at:
        index = index * side + np.clip(((place + 1) / 2 * side).astype(int), 0, side - 1)
    return index
