"""``ds.diffice``: a doorway hands on what it is given, keeps nothing, and changes nothing."""

from __future__ import annotations

import importlib
import sys
import types

import numpy as np
import pytest
import xarray as xr
from stubs import StubInverter

import xdiffice
from xdiffice.observations.report import Report
from xdiffice.results.rheology import effective_strain_rate, strain_rate


@pytest.fixture
def shelf():
    """A velocity raster that deforms; it has no thickness and no front."""
    x, y = np.meshgrid(np.arange(5) * 1e3, np.arange(4) * 1e3)
    return xr.Dataset(
        {
            "x_velocity": (("y", "x"), 1e-5 + 1e-9 * x, {"units": "m s-1"}),
            "y_velocity": (("y", "x"), 2e-5 - 5e-10 * y, {"units": "m s-1"}),
        },
        coords={"x": ("x", x[0], {"units": "m"}), "y": ("y", y[:, 0], {"units": "m"})},
    )


@pytest.fixture
def stub(monkeypatch):
    """Replace the estimator by one that is ready at once."""
    module = types.ModuleType("xdiffice.inverter")
    module.SSAViscosityInverter = StubInverter
    monkeypatch.setitem(sys.modules, "xdiffice.inverter", module)
    monkeypatch.setattr(xdiffice, "inverter", module, raising=False)
    monkeypatch.setattr(StubInverter, "made", [])
    return StubInverter


def test_report_and_its_two_representations(shelf):
    report = shelf.diffice.report()
    assert isinstance(report, Report)
    assert any("thickness" in problem for problem in report.problems)
    assert repr(shelf.diffice) == str(report)
    assert shelf.diffice._repr_html_() == report._repr_html_()


def test_report_hands_on_variables_units_and_thickness(shelf):
    bare = shelf.rename(x_velocity="first")
    bare["first"].attrs = {}
    found = bare.diffice.report(variables={"x_velocity": "first"}, units={"first": "m a-1"})
    row = next(row for row in found.variables if row.role == "x_velocity")
    assert (row.name, row.units) == ("first", "m a-1")
    thickness = (300 + 0 * shelf["x_velocity"]).rename("thickness").assign_attrs(units="m")
    with_thickness = shelf.diffice.report(thickness=thickness.to_dataset())
    row = next(row for row in with_thickness.variables if row.role == "thickness")
    assert row.name == "thickness"


def test_strain_rates_are_those_of_the_functions(shelf):
    xr.testing.assert_identical(shelf.diffice.strain_rate(), strain_rate(shelf))
    xr.testing.assert_identical(shelf.diffice.effective_strain_rate(), effective_strain_rate(shelf))
    doubled = shelf.diffice.strain_rate(units={"x_velocity": "2 m s-1", "y_velocity": "2 m s-1"})
    xr.testing.assert_allclose(doubled, 2 * strain_rate(shelf))


def test_fit_hands_on_everything(shelf, stub):
    fitted = shelf.diffice.fit(
        thickness="T", mask="M", front="F", max_iterations=3, variables={"thickness": "H"}
    )
    assert fitted.params["max_iterations"] == 3
    assert fitted.params["variables"] == {"thickness": "H"}
    assert (fitted.data["thickness"], fitted.data["mask"]) == ("T", "M")
    assert fitted.data["front"] == "F"
    assert fitted.data["velocity"] is shelf
    assert shelf.diffice.fit("T").data["thickness"] == "T"  # as the estimator takes it


def test_invert_is_fit_and_predict_in_a_chain(shelf, stub):
    out = shelf.isel(x=slice(3)).diffice.invert(rheology="isotropic")
    assert float(out["viscosity"][0, 0]) == stub.viscosity
    assert out.sizes == {"y": 4, "x": 3}
    shelf.diffice.invert("T")
    assert stub.made[1].data["thickness"] == "T"
    assert stub.made[0].predicted == (None, {})


def test_predict_is_at_the_positions_of_the_dataset(shelf, stub):
    fitted = shelf.diffice.fit()
    other = shelf.isel(y=slice(2))
    other.diffice.predict(fitted, variables=["viscosity"], extrapolate=True)
    template, kwargs = fitted.predicted
    assert template is other
    assert kwargs == {"variables": ["viscosity"], "extrapolate": True}


def test_unknown_parameter_is_refused_by_the_estimator(shelf, stub):
    for method in (shelf.diffice.fit, shelf.diffice.invert):
        with pytest.raises(TypeError, match="max_second"):
            method(max_second=3)


def test_plot_draws_the_result(shelf):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    assert shelf.diffice.plot(figure=Figure())[0].get_title() == "speed"


def test_dataset_is_not_changed_and_nothing_is_kept(shelf, stub):
    before = shelf.copy(deep=True)
    shelf.diffice.invert()
    shelf.diffice.effective_strain_rate()
    repr(shelf.diffice)
    xr.testing.assert_identical(shelf, before)
    assert set(vars(shelf.diffice)) == {"_dataset"}


def test_importing_again_does_not_warn(recwarn):
    importlib.reload(xdiffice.accessor)
    importlib.reload(xdiffice)
    assert not recwarn.list
    assert isinstance(xr.Dataset().diffice, xdiffice.accessor.DifficeAccessor)


def test_someone_elses_accessor_is_not_replaced_silently(monkeypatch):
    monkeypatch.setattr(xr.Dataset, "diffice", property(lambda ds: "theirs"))
    with pytest.warns(xr.core.extensions.AccessorRegistrationWarning):
        xdiffice.accessor._register()
