"""MATLAB files of the reference project: values at the right places, however they are stored."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

from xdiffice.errors import FileFormatError, UnitsError
from xdiffice.observations.gather import gather
from xdiffice.observations.readers import open_diffice_mat
from xdiffice.physics.constants import SECONDS_PER_YEAR

DATA = Path(__file__).resolve().parents[2] / "../shared/data"


def content(*, same_grid=False) -> dict[str, np.ndarray]:
    """Return what such a file holds; velocity, thickness and viscosity tell where they belong."""
    X, Y = np.meshgrid(10e3 + 450.0 * np.arange(22), -20e3 + 450.0 * np.arange(31))
    off = (X - 14e3) ** 2 + (Y + 13e3) ** 2 > 5.5e3**2
    x, y = X.copy(), Y.copy()
    x[off] = y[off] = np.nan
    if same_grid:
        X_h, Y_h, off_h = X, Y, off
    else:
        X_h, Y_h = np.meshgrid(9.5e3 + 500.0 * np.arange(20), -20e3 + 500.0 * np.arange(27))
        off_h = (X_h - 14e3) ** 2 + (Y_h + 13e3) ** 2 > 5.5e3**2
    return {
        "xd": x,
        "yd": y,
        "ud": np.where(off, np.nan, 1e-9 * X),
        "vd": np.where(off, np.nan, 1e-9 * Y),
        "xd_h": np.where(off_h, np.nan, X_h),
        "yd_h": np.where(off_h, np.nan, Y_h),
        "hd": np.where(off_h, np.nan, 300.0 + 1e-3 * X_h + 2e-3 * Y_h).astype("f4"),
        "xct": np.full((9, 1), 19500, "i4"),
        "yct": np.linspace(-13.8e3, -12e3, 9)[:, None],
        "nnct": np.tile(np.array([[1, 0]], "u1"), (9, 1)),
        "mud": np.where(off, np.nan, 1e13 + 1e9 * X + Y),
    }


def opened(tmp_path, values, **units) -> xr.Dataset:
    path = tmp_path / "data_pinns_test.mat"
    scipy.io.savemat(path, values)
    return open_diffice_mat(path, **{"velocity_units": "m s-1", **units})


def assert_values_in_place(ds: xr.Dataset, raw: dict[str, np.ndarray]) -> None:
    """Look the file's values up by their positions."""
    for name, key, suffix in (
        ("x_velocity", "ud", ""),
        ("y_velocity", "vd", ""),
        ("viscosity", "mud", ""),
        ("thickness", "hd", "_h"),
    ):
        if key not in raw:
            continue
        x, y, values = (np.ravel(raw[k]) for k in (f"xd{suffix}", f"yd{suffix}", key))
        known = np.isfinite(x) & np.isfinite(values)
        at = {}
        for dim in ds[name].dims:
            at[dim] = xr.DataArray((x if dim.startswith("x") else y)[known], dims="p")
        found = ds[name].sel(at, method="nearest", tolerance=1.0)
        assert_array_equal(found, values[known].astype(float), err_msg=name)
        assert int(ds[name].notnull().sum()) == known.sum()


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("rows", [1, -1])
@pytest.mark.parametrize("columns", [1, -1])
@pytest.mark.parametrize("same_grid", [True, False])
def test_values_sit_at_their_positions(tmp_path, turned, rows, columns, same_grid):
    raw = content(same_grid=same_grid)
    for key, values in raw.items():
        if values.shape[1] > 2:
            values = values[::rows, ::columns]
            raw[key] = values.T if turned else values
    ds = opened(tmp_path, raw)
    assert ds.x_velocity.dims == ("y", "x")
    assert ds.thickness.dims == (("y", "x") if same_grid else ("y_h", "x_h"))
    assert ds.x_velocity.shape == (31, 22)
    # rows and columns without any position continue the regular axis
    assert_allclose(ds.x.values[::columns], 10e3 + 450.0 * np.arange(22), rtol=1e-14)
    assert_allclose(ds.y.values[::rows], -20e3 + 450.0 * np.arange(31), rtol=1e-14)
    assert_values_in_place(ds, raw)


def test_front_and_attributes(tmp_path):
    raw = content()
    raw |= {"x_gd": np.array([[1], [2]], "i4"), "y_gd": np.array([[3], [4]], "i4")}
    ds = opened(tmp_path, raw, velocity_units="m yr-1", coordinate_units="km")
    assert_array_equal(ds.x_front, raw["xct"][:, 0])
    assert_array_equal(ds.y_front, raw["yct"][:, 0])
    assert_array_equal(ds.x_normal, 1.0)
    assert ds.y_normal.dtype == np.float64
    assert_array_equal(ds.x_grounding_line, [1, 2])
    assert_array_equal(ds.y_grounding_line, [3, 4])
    assert ds.x_velocity.attrs["units"] == "m yr-1"
    assert ds.y_velocity.attrs["standard_name"] == "land_ice_vertical_mean_y_velocity"
    assert {ds[n].attrs["units"] for n in ("x", "y", "x_h", "y_h", "x_front")} == {"km"}
    assert ds.viscosity.attrs["units"] == "Pa s"
    assert "standard_name" not in ds.viscosity.attrs
    assert ds.attrs["Conventions"].startswith("CF")


def test_velocity_units_reach_the_observations(tmp_path):
    raw = content()
    plain = gather(opened(tmp_path, raw))
    raw["ud"], raw["vd"] = raw["ud"] * SECONDS_PER_YEAR, raw["vd"] * SECONDS_PER_YEAR
    yearly = gather(opened(tmp_path, raw, velocity_units="m/yr"))
    assert_allclose(yearly.velocity.u, plain.velocity.u, rtol=1e-14)
    assert_allclose(plain.velocity.u, 1e-9 * plain.velocity.x, rtol=1e-12)


def cells(parts) -> np.ndarray:
    result = np.empty((1, len(parts)), dtype=object)
    for i, part in enumerate(parts):
        result[0, i] = part
    return result


def in_regions(raw):
    """Cut the shelf into three overlapping regions; only the last two have a front."""
    result = {}
    for key, values in raw.items():
        if key in ("xct", "yct", "nnct"):
            result[key] = cells([values[:0], values[:4], values[4:]])
        else:
            n = values.shape[0]
            cuts = ((0, n // 3 + 2), (n // 3, 2 * n // 3), (2 * n // 3 - 1, n))
            result[key] = cells([values[a:b] for a, b in cuts])
    return result


@pytest.mark.parametrize("same_grid", [True, False])
def test_regions_join_to_the_same_shelf(tmp_path, same_grid):
    raw = content(same_grid=same_grid)
    whole = opened(tmp_path, raw)
    ds = opened(tmp_path, in_regions(raw))
    for name in whole.data_vars:
        if name.endswith(("front", "normal")):
            assert_array_equal(ds[name], whole[name])
        else:
            cut = whole[name].dropna(whole[name].dims[0], how="all")
            cut = cut.dropna(whole[name].dims[1], how="all")
            xr.testing.assert_allclose(ds[name], cut, rtol=1e-14)
    assert ds.subdomain.dtype.kind == "i"
    assert_array_equal(ds.subdomain > 0, ds.x_velocity.notnull())
    rows = {n: ds.y.where((ds.subdomain == n).any("x"), drop=True) for n in (1, 2, 3)}
    assert rows[1].max() < rows[2].min()
    assert rows[2].max() < rows[3].min()
    # a shared pixel belongs to the first region that has it
    assert float(rows[1].max()) == -20e3 + 450.0 * (31 // 3 + 1)
    assert ("subdomain_h" in ds) == (not same_grid)
    assert_array_equal(np.sort(gather(ds).velocity.u), np.sort(gather(whole).velocity.u))


def test_whole_shelf_variables_beside_cells(tmp_path):
    raw = in_regions(content())
    raw |= {"x_gd": np.array([[1.0]]), "y_gd": np.array([[2.0]]), "x_md": cells([np.ones((2, 1))])}
    assert_array_equal(opened(tmp_path, raw).x_grounding_line, [1.0])


def test_regions_that_contradict_each_other(tmp_path):
    shared = int(np.isfinite(content()["ud"][10:12]).sum())
    raw = in_regions(content())
    raw["ud"][0, 1] = raw["ud"][0, 1] * 1.01
    with pytest.raises(FileFormatError, match=rf"ud of region 2 .* differs .* at {shared} pixels"):
        opened(tmp_path, raw)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda raw: raw.pop("hd"), "lacks hd; it has xd, yd"),
        (lambda raw: raw.update(ud=raw["ud"][1:]), r"shapes in .* differ: xd \(31, 22\)"),
        (lambda raw: raw.update(xd=np.full_like(raw["xd"], np.nan)), "xd in .* has no values"),
        (lambda raw: raw.update(nnct=2 * raw["nnct"]), "nnct in .* lengths are between 2 and 2"),
        (lambda raw: raw.update(nnct=raw["nnct"][1:]), "the front in .* does not fit together"),
        (lambda raw: raw.update(xct=np.zeros((0, 1))), "no calving front"),
        (lambda raw: raw.update(xd=raw["xd"] + 0.3 * raw["yd"]), "no grid with rows along x"),
        (lambda raw: raw.update(mud=np.ones((3, 3))), "mud in .* has the shape of neither grid"),
        (lambda raw: raw.update(yd=cells([raw["yd"]] * 2)), "not numeric"),
        (lambda raw: raw.update(x_gd=np.ones(3), y_gd=np.ones(2)), "x_gd and y_gd differ"),
    ],
)
def test_bad_content(tmp_path, change, text):
    raw = content()
    change(raw)
    with pytest.raises(FileFormatError, match=text):
        opened(tmp_path, raw)


def test_cells_that_do_not_match(tmp_path):
    raw = in_regions(content())
    raw["hd"] = cells(list(raw["hd"][0])[:2])
    with pytest.raises(FileFormatError, match="has 3 cells in xd, but not in hd"):
        opened(tmp_path, raw)


def test_no_such_file_and_no_mat_file(tmp_path):
    with pytest.raises(FileFormatError, match="there is no file"):
        open_diffice_mat(tmp_path / "absent.mat", velocity_units="m/s")
    text = tmp_path / "text.mat"
    text.write_text("velocity\n1.0\n" * 30)
    with pytest.raises(FileFormatError, match="cannot be read as a MATLAB file"):
        open_diffice_mat(text, velocity_units="m/s")


def test_units_must_be_named_and_right(tmp_path):
    with pytest.raises(TypeError, match="velocity_units"):
        open_diffice_mat(tmp_path / "absent.mat")
    with pytest.raises(UnitsError, match="'velocity_units'"):
        open_diffice_mat(tmp_path / "absent.mat", velocity_units="m")


@pytest.mark.parametrize("name", ["SynData_exp1.mat", "data_pinns_LarsenC.mat"])
def test_real_files(tmp_path, name):
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not in the folder ../shared/data beside the repository")
    raw = scipy.io.loadmat(path)
    ds = open_diffice_mat(path, velocity_units="m s-1")
    assert_values_in_place(ds, raw)
    o = gather(ds)
    u, v = raw["ud"].astype(float), raw["vd"].astype(float)
    valid = np.isfinite(raw["xd"]) & np.isfinite(u) & np.isfinite(v) & ~((u == 0) & (v == 0))
    assert o.velocity.x.size == o.domain.x.size == valid.sum()
    assert o.thickness.x.size == (raw["hd"] > 0).sum()
    assert o.front.x.size == raw["xct"].size
    assert o.domain.spacing == pytest.approx({"S": 200.0, "d": 450.0}[name[0]])
    assert_allclose(np.sort(o.velocity.u), np.sort(u[valid]), rtol=0)
    ds.to_netcdf(tmp_path / "shelf.nc")
    with xr.open_dataset(tmp_path / "shelf.nc") as read:
        again = gather(read)
    for part in ("velocity", "thickness", "front", "domain"):
        for key in (field.name for field in dataclasses.fields(getattr(o, part))):
            assert_array_equal(*(getattr(getattr(one, part), key) for one in (o, again)))
