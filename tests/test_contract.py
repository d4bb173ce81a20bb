"""Whatever Dataset comes in: a finite result or an error of ours, and the input as it was."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from small_fits import inverter

from xdiffice import PlausibilityWarning, XdifficeError
from xdiffice.synthetic import confined_shelf

EXAMPLES = int(os.environ.get("XDIFFICE_EXAMPLES", "50"))
# Fewer points in a sample than most Datasets have, so that nearly all share one compiled program.
TINY = {
    "max_iterations": 4,
    "adjoint_steps": 1,
    "width": 4,
    "features": 4,
    "n_velocity": 40,
    "n_thickness": 30,
    "n_interior": 30,
    "n_front": 10,
    "resample_every": 2,
}
VALUES = ("x_velocity", "y_velocity", "thickness")
FRONT = ("x_front", "y_front", "x_normal", "y_normal")
SHELF = confined_shelf((12, 16), noise=0.02).drop_vars("viscosity")
names = st.sampled_from(VALUES)
sizes = st.sampled_from([1, 1, 2])  # of ensembles
anything = st.sampled_from([*VALUES, *FRONT])
numbers = st.sampled_from(
    [0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e-300, 1e30, -1e30, 1e300, -9999.0, 9.96921e36]
)


def changed(ds: xr.Dataset, name: str, values: np.ndarray, **attrs) -> xr.Dataset:
    old = ds[name]
    return ds.assign({name: (old.dims, values, old.attrs | attrs)})


def some_values(draw: st.DrawFn, ds: xr.Dataset) -> xr.Dataset:
    """Put odd numbers somewhere, or everywhere."""
    name, number = draw(anything), draw(numbers)
    values = ds[name].values.astype(float)
    share = draw(st.sampled_from([0.0, 0.02, 0.5, 0.97, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    chosen = rng.random(values.shape) < share
    if share == 0.0:
        chosen.flat[draw(st.integers(0, values.size - 1))] = True
    return changed(ds, name, np.where(chosen, number, values))


def scaled(draw: st.DrawFn, ds: xr.Dataset) -> xr.Dataset:
    factor = draw(st.sampled_from([0.0, -1.0, 1e-12, 1e-3, 1e3, 1e9, 1e150]))
    name = draw(anything)
    return changed(ds, name, ds[name].values.astype(float) * factor)


def typed(draw: st.DrawFn, ds: xr.Dataset) -> xr.Dataset:
    kind = draw(
        st.sampled_from(["f4", "f2", "i8", "i2", "u1", "bool", "c16", "O", "U8", "M8[ns]", "m8[s]"])
    )
    name = draw(anything)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = np.nan_to_num(ds[name].values.astype(float), posinf=0.0, neginf=0.0)
        if kind[0] in "Mm":
            values = np.clip(values, -1e9, 1e9).astype("i8")
        elif kind[0] in "iu":
            values = np.clip(values, -1e9, 1e9)
        return changed(ds, name, values.astype(kind))


def described(draw: st.DrawFn, ds: xr.Dataset) -> xr.Dataset:
    """Change an attribute, or take all away."""
    name = draw(st.sampled_from([*VALUES, *FRONT, "x", "y"]))
    key = draw(
        st.sampled_from(
            ["units", "standard_name", "scale_factor", "_FillValue", "valid_range", "axis", "all"]
        )
    )
    value = draw(st.sampled_from(["", "K", "m", "m s-1", "km", "1", "x", 0, 3.5, None, [1, 2]]))
    ds = ds.copy()
    ds[name].attrs = {} if key == "all" else dict(ds[name].attrs) | {key: value}
    return ds


def without(draw: st.DrawFn, ds: xr.Dataset) -> xr.Dataset:
    return ds.drop_vars(draw(st.sampled_from([*VALUES, *FRONT, "x", "y"])), errors="ignore")


def cut(draw: st.DrawFn, ds: xr.Dataset) -> xr.Dataset:
    """Keep few pixels, or none, along a dim."""
    dim = draw(st.sampled_from(["x", "y", "front"]))
    start = draw(st.integers(0, 5))
    return ds.isel({dim: slice(start, start + draw(st.sampled_from([0, 1, 2, 3, 8])))})


def ordered(draw: st.DrawFn, ds: xr.Dataset) -> xr.Dataset:
    """Turn, shuffle or repeat what lies along a dim."""
    dim = draw(st.sampled_from(["x", "y", "front"]))
    n = ds.sizes[dim]
    how = draw(st.sampled_from(["turn", "shuffle", "repeat", "same"]))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    index = {
        "turn": np.arange(n)[::-1],
        "shuffle": rng.permutation(n),
        "repeat": np.repeat(np.arange(n), 2),
        "same": np.zeros(n, int),
    }[how]
    return ds.isel({dim: index})


def placed(draw: st.DrawFn, ds: xr.Dataset) -> xr.Dataset:
    """Put the coordinates elsewhere, or nowhere."""
    dim = draw(st.sampled_from(["x", "y"]))
    if dim not in ds.coords:
        return ds
    values = ds[dim].values.astype(float)
    how = draw(st.sampled_from(["nan", "inf", "constant", "far", "near", "uneven", "text"]))
    if how in ("nan", "inf") and values.size:
        values[draw(st.integers(0, values.size - 1))] = {"nan": np.nan, "inf": np.inf}[how]
    elif how == "uneven":
        values = values * np.abs(values)
    elif how == "text":
        values = values.astype("U6")
    else:
        factor = {"constant": 0.0, "far": 1e6, "near": 1e-9}.get(how, 1.0)
        values = factor * values
    return ds.assign_coords({dim: (dim, values, ds[dim].attrs)})


def shaped(draw: st.DrawFn, ds: xr.Dataset) -> xr.Dataset:
    """Transpose, chunk, rename, or add dims."""
    how = draw(st.sampled_from(["transpose", "chunk", "chunk small", "time", "stack", "rename"]))
    if how == "transpose":
        return ds.transpose(*reversed([*ds.dims]))
    if how.startswith("chunk"):
        return ds.chunk(dict.fromkeys(ds.dims, 7 if how == "chunk" else 1))
    if how == "time":
        name = draw(names)
        return ds.assign({name: ds[name].expand_dims(time=draw(st.sampled_from([1, 2])))})
    if how == "stack" and {"x", "y"} <= {*ds.dims}:
        stacked = ds.stack(point=("y", "x"))
        return stacked.reset_index("point") if draw(st.booleans()) else stacked
    return ds.rename({name: f"{name} {k}" for k, name in enumerate(VALUES) if name in ds})


CHANGES: list[Callable] = [
    some_values, scaled, typed, described, without, cut, ordered, placed, shaped,
]  # fmt: skip


@st.composite
def hostile(draw: st.DrawFn) -> xr.Dataset:
    """Damage a good shelf, once or several times; what cannot be done to it is left out."""
    ds = SHELF.copy(deep=True)
    changes = draw(st.lists(st.sampled_from([shaped, typed]), max_size=2))
    changes += draw(st.lists(st.sampled_from(CHANGES), max_size=2))
    for change in changes:
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ds = change(draw, ds)
        except (KeyError, ValueError, TypeError, IndexError, OverflowError):
            continue
    return ds


def assert_contract(ds: xr.Dataset, n_members: int) -> None:
    """Fit and predict; anything but a finite result or an error of ours is a failure."""
    before = ds.copy(deep=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", PlausibilityWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = error = None
        try:
            result = inverter(n_members=n_members, **TINY).fit(ds).predict()
        except XdifficeError as ours:
            error = ours
    if result is None:
        assert str(error).strip()
    else:
        inside = result["viscosity"].notnull()
        assert bool(inside.any())
        for name in ("viscosity", *VALUES):
            assert np.isfinite(result[name].values[inside.values]).all(), name
        assert float(result["viscosity"].min()) > 0
        if n_members > 1:
            assert float(result["viscosity_std"].where(inside).min()) >= 1
            assert np.isfinite(result["viscosity_std"].values[inside.values]).all()
    event("refused" if result is None else "fitted")
    xr.testing.assert_identical(ds.compute(), before.compute())


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[*HealthCheck])
@given(ds=hostile(), n_members=sizes)
def test_a_finite_result_or_an_error_of_ours(ds, n_members):
    assert_contract(ds, n_members)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=[*HealthCheck])
@given(ds=hostile(), n_members=sizes)
def test_two_thousand_times(ds, n_members):
    assert_contract(ds, n_members)
