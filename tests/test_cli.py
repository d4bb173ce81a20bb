"""The command: exit status, one line for what is wrong, and files that are whole or not there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
import xarray as xr
from stubs import StubInverter

import xdiffice
from xdiffice import cli, versions
from xdiffice.cli import main
from xdiffice.errors import MissingDependencyError
from xdiffice.pictures import maps


def small_shelf() -> xr.Dataset:
    """Case 2 of the exact shelves: u = a x, v = a y, a thickness that varies, a straight front."""
    x, y = np.arange(0.0, 20e3, 1e3), np.arange(-8e3, 8.1e3, 1e3)
    xx, yy = np.meshgrid(x, y)
    rate = 2e-10
    front = np.linspace(-8e3, 8e3, 33)
    one = np.ones_like(front)
    dims, points = ("y", "x"), "front"
    return xr.Dataset(
        {
            "x_velocity": (dims, rate * (xx + 50e3), {"units": "m s-1"}),
            "y_velocity": (dims, rate * (yy + 20e3), {"units": "m s-1"}),
            "thickness": (dims, 400 - 5e-3 * xx + 2e-3 * yy, {"units": "m"}),
            "viscosity": (
                dims,
                np.full(xx.shape, StubInverter.viscosity / 1.02),
                {"units": "Pa s"},
            ),
            "x_front": (points, 19e3 * one, {"units": "m"}),
            "y_front": (points, front, {"units": "m"}),
            "x_normal": (points, one, {"units": "1"}),
            "y_normal": (points, 0 * one, {"units": "1"}),
        },
        coords={
            name: (
                name,
                values,
                {"units": "m", "standard_name": f"projection_{name}_coordinate"},
            )
            for name, values in (("x", x), ("y", y))
        },
    )


@pytest.fixture
def shelf_file(tmp_path):
    path = tmp_path / "shelf.nc"
    small_shelf().to_netcdf(path)
    return path


@pytest.fixture
def stub(monkeypatch):
    """Replace the estimator by one that is ready at once."""
    module = types.ModuleType("xdiffice.inverter")
    module.SSAViscosityInverter = StubInverter
    monkeypatch.setitem(sys.modules, "xdiffice.inverter", module)
    monkeypatch.setattr(xdiffice, "inverter", module, raising=False)
    monkeypatch.setattr(StubInverter, "made", [])
    return StubInverter


@pytest.fixture
def demo_shelf(monkeypatch):
    """Replace the finite-element shelf of the demo by a small exact one."""
    synthetic = types.ModuleType("xdiffice.synthetic")
    synthetic.confined_shelf = small_shelf
    # The attribute first: it is loaded on use, and what was there before comes back afterwards.
    monkeypatch.setattr(xdiffice, "synthetic", synthetic)
    monkeypatch.setitem(sys.modules, "xdiffice.synthetic", synthetic)


def run(capsys, *arguments):
    """Run the command and return its exit status, its output and its complaint."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def assert_one_line(err, *parts):
    assert err.count("\n") == 1, err
    for part in parts:
        assert part in err


class TestInvert:
    def test_writes_what_the_estimator_predicts(self, capsys, tmp_path, shelf_file, stub):
        out = tmp_path / "out.nc"
        status, text, err = run(capsys, "invert", shelf_file, "-o", out, "--seed", 3)
        assert (status, err) == (0, "")
        with xr.open_dataset(out) as result:
            np.testing.assert_array_equal(result["viscosity"], stub.viscosity)
        assert "misfit of thickness (relative L2): 3 %" in text
        assert "y_momentum_residual (rms): 4 Pa" in text
        assert "residual of momentum, relative to the driving stress (rms): 4 %" in text
        assert "note: speeds are high" in text
        assert "stopped after 7 iterations: max_iterations (iterations were used up" in text
        assert stub.made[0].params["random_state"] == 3

    def test_arguments_become_parameters_and_the_rest_keeps_its_default(
        self, capsys, tmp_path, shelf_file, stub
    ):
        arguments = [
            *("--rheology", "glen", "--subdomains", "4", "--max-seconds", "2.5"),
            *("--max-iterations", "9", "--quiet", "--variable", "thickness=thickness"),
            *("--members", "3"),
            *("--variable", "mask=m", "--units"),
        ]
        out, kept = tmp_path / "out.nc", tmp_path / "run.nc"
        status, text, _ = run(
            capsys,
            *("invert", shelf_file, "-o", out, "--checkpoint", kept),
            *(*arguments, "x_velocity=m yr-1"),
        )
        assert (status, text) == (0, "")
        assert stub.made[0].params == {
            "rheology": "glen",
            "subdomains": 4,
            "n_members": 3,
            "max_seconds": 2.5,
            "max_iterations": 9,
            "random_state": 0,
            "progress": False,
            "checkpoint": kept,
            "variables": {"thickness": "thickness", "mask": "m"},
            "units": {"x_velocity": "m yr-1"},
        }
        _, text, _ = run(capsys, "invert", shelf_file, "-o", tmp_path / "b.nc", "--subdomains=auto")
        assert stub.made[1].params == StubInverter(subdomains="auto").params
        jump = "jump of x_velocity between subdomains, relative to its range (rms): 0.06 %"
        assert jump in text

    def test_what_was_interrupted_goes_on_by_the_same_command(
        self, capsys, tmp_path, shelf_file, stub, monkeypatch
    ):
        out, kept, plot = (tmp_path / name for name in ("out.nc", "run.nc", "map.png"))
        command = ("invert", shelf_file, "-o", out, "--checkpoint", kept, "--plot", plot)
        monkeypatch.setattr(stub, "stop_reason", "interrupted")
        status, _, err = run(capsys, *command)
        assert status == 130
        assert_one_line(err, f"too early for {kept}")
        status, _, err = run(capsys, *command)  # nothing to go on from
        assert status == 2
        assert_one_line(err, "out.nc exists")
        kept.write_bytes(b"a state")
        status, _, err = run(capsys, *command)
        assert status == 130
        assert_one_line(err, f"the same command goes on from {kept}")
        monkeypatch.setattr(stub, "stop_reason", "tolerance")
        assert run(capsys, *command)[0] == 0
        with xr.open_dataset(out) as result:
            assert result.attrs["stop_reason"] == "tolerance"
        status, _, err = run(capsys, *command)  # a result that is complete is precious
        assert status == 2
        assert_one_line(err, "out.nc exists")

    def test_zarr_is_zarr(self, capsys, tmp_path, shelf_file, stub):
        out = tmp_path / "out.zarr"
        command = ("invert", shelf_file, "-o", out)
        assert run(capsys, *command)[0] == 0
        with xr.open_zarr(out, consolidated=False) as result:
            np.testing.assert_array_equal(result["viscosity"], stub.viscosity)
        assert run(capsys, *command)[0] == 2
        assert run(capsys, *command, "--overwrite")[0] == 0
        status, text, _ = run(capsys, "info", out)
        assert (status, "an inferred viscosity" in text) == (0, True)

    def test_a_checkpoint_is_no_other_file(self, capsys, tmp_path, shelf_file, stub):
        out, before = tmp_path / "out.nc", shelf_file.read_bytes()
        for kept, message in (
            (shelf_file, "is an input"),
            (out, "is an input"),
            (tmp_path / "no" / "run.nc", "there is no directory"),
        ):
            status, _, err = run(capsys, "invert", shelf_file, "-o", out, "--checkpoint", kept)
            assert (status, message in err) == (2, True)
        assert not stub.made
        assert shelf_file.read_bytes() == before

    def test_several_files(self, capsys, tmp_path, stub):
        shelf = small_shelf()
        parts = {
            "velocity": shelf[["x_velocity", "y_velocity"]],
            "thickness": shelf[["thickness"]],
            "front": shelf[["x_front", "y_front"]],
            "mask": (shelf["thickness"] > 0).astype("i1").to_dataset(name="mask"),
        }
        for name, part in parts.items():
            part.to_netcdf(tmp_path / f"{name}.nc")
        options = [
            item
            for name in ("thickness", "front", "mask")
            for item in (f"--{name}", tmp_path / f"{name}.nc")
        ]
        out = tmp_path / "out.nc"
        status, *_ = run(capsys, "invert", tmp_path / "velocity.nc", "-o", out, *options)
        assert status == 0
        for name, part in parts.items():
            xr.testing.assert_equal(stub.made[0].data[name].compute(), part)

    def test_plot(self, capsys, tmp_path, shelf_file, stub):
        pytest.importorskip("matplotlib")
        picture = tmp_path / "map.png"
        status, text, _ = run(
            capsys, "invert", shelf_file, "-o", tmp_path / "out.nc", "--plot", picture
        )
        assert status == 0
        assert picture.read_bytes()[:4] == b"\x89PNG"
        assert f"wrote {tmp_path / 'out.nc'} and {picture}" in text

    def test_real_estimator(self, capsys, tmp_path, shelf_file):
        out = tmp_path / "out.nc"
        status, text, err = run(
            capsys, "invert", shelf_file, "-o", out, "--max-iterations", 3, "--quiet"
        )
        assert (status, text) == (0, ""), err
        with xr.open_dataset(out) as result:
            assert result["viscosity"].attrs["units"] == "Pa s"
            assert result["viscosity"].dims == ("y", "x")
            assert bool((result["viscosity"] > 0).any())
            assert "max_iterations=3" in result.attrs["estimator"]


class TestRefusals:
    """Whatever is wrong: exit status 2, one line, no training, no file."""

    def refused(self, capsys, stub, *arguments):
        status, out, err = run(capsys, *arguments)
        assert status == 2
        assert out == ""
        assert not stub.made
        return err

    def test_missing_file(self, capsys, tmp_path, stub):
        err = self.refused(capsys, stub, "invert", tmp_path / "no.nc", "-o", tmp_path / "o.nc")
        assert_one_line(err, "no such file", "no.nc")

    def test_not_a_netcdf(self, capsys, tmp_path, stub):
        (tmp_path / "text.nc").write_text("this is text\n")
        err = self.refused(capsys, stub, "invert", tmp_path / "text.nc", "-o", tmp_path / "o.nc")
        assert_one_line(err, "text.nc cannot be read as netCDF")

    def test_truncated_netcdf(self, capsys, tmp_path, stub, shelf_file):
        (tmp_path / "cut.nc").write_bytes(shelf_file.read_bytes()[:3000])
        err = self.refused(capsys, stub, "invert", tmp_path / "cut.nc", "-o", tmp_path / "o.nc")
        assert_one_line(err, "cut.nc cannot be read as netCDF")

    def test_existing_output(self, capsys, tmp_path, shelf_file, stub):
        out = tmp_path / "out.nc"
        out.write_text("precious")
        err = self.refused(capsys, stub, "invert", shelf_file, "-o", out)
        assert_one_line(err, "out.nc exists", "--overwrite")
        assert out.read_text() == "precious"
        assert run(capsys, "invert", shelf_file, "-o", out, "--overwrite")[0] == 0
        assert xr.load_dataset(out)["viscosity"].size

    def test_existing_picture(self, capsys, tmp_path, shelf_file, stub):
        (tmp_path / "map.png").write_text("precious")
        err = self.refused(
            capsys,
            stub,
            "invert",
            shelf_file,
            "-o",
            tmp_path / "o.nc",
            "--plot",
            tmp_path / "map.png",
        )
        assert_one_line(err, "map.png exists")

    def test_no_directory(self, capsys, tmp_path, shelf_file, stub):
        out = tmp_path / "nowhere" / "out.nc"
        err = self.refused(capsys, stub, "invert", shelf_file, "-o", out)
        assert_one_line(err, "there is no directory")

    def test_unwritable_directory(self, capsys, tmp_path, shelf_file, stub, monkeypatch):
        def refuse(*_, **__):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.touch", refuse)
        err = self.refused(capsys, stub, "invert", shelf_file, "-o", tmp_path / "out.nc")
        assert_one_line(err, "cannot write", "Permission denied")

    def test_output_is_the_input(self, capsys, tmp_path, shelf_file, stub):
        before = shelf_file.read_bytes()
        err = self.refused(capsys, stub, "invert", shelf_file, "-o", shelf_file, "--overwrite")
        assert_one_line(err, "is an input")
        assert shelf_file.read_bytes() == before

    def test_two_outputs_of_one_name(self, capsys, tmp_path, shelf_file, stub):
        out = tmp_path / "out"
        err = self.refused(capsys, stub, "invert", shelf_file, "-o", out, "--plot", out)
        assert_one_line(err, "same name")

    def test_output_is_a_directory(self, capsys, tmp_path, shelf_file, stub):
        err = self.refused(capsys, stub, "invert", shelf_file, "-o", tmp_path)
        assert_one_line(err, "is a directory")

    def test_no_matplotlib_is_said_before_the_work(
        self, capsys, tmp_path, shelf_file, stub, monkeypatch
    ):
        def missing():
            raise MissingDependencyError('pip install "xdiffice[plot]"')

        monkeypatch.setattr(maps, "require_matplotlib", missing)
        err = self.refused(
            capsys,
            stub,
            "invert",
            shelf_file,
            "-o",
            tmp_path / "o.nc",
            "--plot",
            tmp_path / "m.png",
        )
        assert_one_line(err, "xdiffice[plot]")

    @pytest.mark.parametrize(
        ("arguments", "parts"),
        [
            ((), ("COMMAND",)),
            (("invert", "in.nc"), ("-o", "--help")),
            (("invert", "in.nc", "-o", "o.nc", "--units", "vx"), ("NAME=VALUE", "'vx'")),
            (("invert", "in.nc", "-o", "o.nc", "--subdomains", "some"), ("'auto'", "'some'")),
            (("invert", "in.nc", "-o", "o.nc", "--max-seconds", "long"), ("float", "'long'")),
            (("inverse", "in.nc"), ("inverse", "demo")),
        ],
    )
    def test_arguments(self, capsys, stub, arguments, parts):
        assert_one_line(self.refused(capsys, stub, *arguments), *parts)

    @pytest.mark.parametrize(
        ("name", "part"), [("r.xyz", "'.xyz' is no format"), ("r", "no format")]
    )
    def test_a_picture_in_no_format(self, capsys, tmp_path, shelf_file, stub, name, part):
        pytest.importorskip("matplotlib")
        command = ("invert", shelf_file, "-o", tmp_path / "out.nc", "--plot", tmp_path / name)
        assert_one_line(self.refused(capsys, stub, *command), part, "png", "pdf")

    def test_a_report_of_what_is_no_result(self, capsys, tmp_path, stub):
        small_shelf().drop_vars("viscosity").to_netcdf(tmp_path / "data.nc")
        page = tmp_path / "page.html"
        err = self.refused(capsys, stub, "report", tmp_path / "data.nc", "-o", page)
        assert_one_line(err, "data.nc is no result", "xdiffice invert")
        assert not page.exists()

    def test_what_is_missing_is_told_in_options(self, capsys, tmp_path, stub):
        bare = small_shelf()[["x_velocity", "y_velocity"]]
        del bare["x_velocity"].attrs["units"]
        bare.to_netcdf(tmp_path / "bare.nc")
        status, _, err = run(capsys, "info", tmp_path / "bare.nc")
        assert status == 2
        assert "--units x_velocity='...'" in err
        assert "--variable thickness=<name>" in err
        assert "--front FILE" in err
        assert "variables={" not in err

    def test_message_of_several_lines_becomes_one(self, capsys, tmp_path, shelf_file, stub):
        out = tmp_path / "out.nc"
        status, _, err = run(capsys, "invert", shelf_file, "-o", out, "--max-iterations", -1)
        assert status == 2
        assert_one_line(err, "must be positive, got a negative")
        assert not out.exists()

    def test_all_problems_of_a_dataset_in_one_line(self, capsys, tmp_path):
        bad = small_shelf().drop_vars(["thickness", "y_normal"])
        bad["x_velocity"].attrs["units"] = "furlongs"
        bad.to_netcdf(tmp_path / "bad.nc")
        out = tmp_path / "out.nc"
        status, _, err = run(capsys, "invert", tmp_path / "bad.nc", "-o", out)
        assert status == 2
        assert_one_line(err, "thickness", "furlongs", "normal", "; ")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.nc"]


class TestInterruption:
    def test_what_was_reached_is_written(self, capsys, tmp_path, shelf_file, stub, monkeypatch):
        monkeypatch.setattr(stub, "stop_reason", "interrupted")
        out = tmp_path / "out.nc"
        status, _, err = run(capsys, "invert", shelf_file, "-o", out)
        assert status == 130
        assert_one_line(err, "interrupted after 7 iterations", "out.nc")
        assert xr.load_dataset(out)["viscosity"].size

    def test_nothing_reached_leaves_no_file(self, capsys, tmp_path, shelf_file, stub, monkeypatch):
        monkeypatch.setattr(stub, "stop_reason", "interrupted")
        monkeypatch.setattr(stub, "n_iter", 0)
        status, _, err = run(capsys, "invert", shelf_file, "-o", tmp_path / "out.nc")
        assert status == 130
        assert_one_line(err, "nothing was written")
        assert [path.name for path in tmp_path.iterdir()] == ["shelf.nc"]

    def test_before_the_training(self, capsys, tmp_path, shelf_file, stub, monkeypatch):
        def interrupt(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(stub, "fit", interrupt)
        status, _, err = run(capsys, "invert", shelf_file, "-o", tmp_path / "out.nc")
        assert status == 130
        assert_one_line(err, "interrupted")
        assert [path.name for path in tmp_path.iterdir()] == ["shelf.nc"]

    def test_while_writing_leaves_the_old_file(
        self, capsys, tmp_path, shelf_file, stub, monkeypatch
    ):
        out = tmp_path / "out.nc"
        out.write_text("precious")

        def interrupt(_, path):
            path.write_text("half")
            raise KeyboardInterrupt

        monkeypatch.setattr(xr.Dataset, "to_netcdf", interrupt)
        status, *_ = run(capsys, "invert", shelf_file, "-o", out, "--overwrite")
        assert status == 130
        assert out.read_text() == "precious"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out.nc", "shelf.nc"]


class TestDemo:
    def test_prints_the_error_and_writes_both_files(self, capsys, tmp_path, stub, demo_shelf):
        pytest.importorskip("matplotlib")
        place = tmp_path / "new" / "place"  # made where it is not there
        status, text, err = run(capsys, "demo", "--output-dir", place, "--seed", 5)
        assert (status, err) == (0, "")
        assert "relative L2 error of viscosity: 2.00 %" in text
        assert sorted(path.name for path in place.iterdir()) == ["viscosity.nc", "viscosity.png"]
        assert stub.made[0].params["random_state"] == 5
        assert stub.made[0].params["max_seconds"] > 0

    def test_without_matplotlib_there_is_no_picture_but_a_result(
        self, capsys, tmp_path, stub, demo_shelf, monkeypatch
    ):
        def missing():
            raise MissingDependencyError('pip install "xdiffice[plot]"')

        monkeypatch.setattr(maps, "require_matplotlib", missing)
        status, text, err = run(capsys, "demo", "--output-dir", tmp_path)
        assert status == 0
        assert_one_line(err, "no picture", "xdiffice[plot]")
        assert "2.00 %" in text
        assert [path.name for path in tmp_path.iterdir()] == ["viscosity.nc"]

    def test_existing_files_are_kept(self, capsys, tmp_path, stub, demo_shelf):
        (tmp_path / "viscosity.png").write_text("precious")
        status, _, err = run(capsys, "demo", "--output-dir", tmp_path)
        assert status == 2
        assert_one_line(err, "viscosity.png exists")
        assert not stub.made


class TestAssemble:
    @pytest.fixture
    def files(self, products, tmp_path):
        velocity = products.measures(tmp_path / "velocity.nc")
        return velocity, products.bedmachine(tmp_path / "bed.nc")

    def test_it_is_the_shelf_that_the_library_makes(self, capsys, files, tmp_path, products):
        velocity, bed = files
        x, y = products.CENTRE
        near = f"{x:.1e}".replace("e+0", "e"), str(y)  # as people type it, with a minus in front
        assert near[0].startswith("-")
        out = tmp_path / "shelf.nc"
        arguments = ("assemble", velocity, "--thickness", bed, "--seed-point", *near, "-o", out)
        status, text, err = run(capsys, *arguments)
        assert (status, err) == (0, "")
        assert "this Dataset can be inverted" in text
        assert str(out) in text
        seed_point = [float(one) for one in near]
        expected = xdiffice.assemble(velocity, bed, seed_point=seed_point)
        with xr.open_dataset(out, decode_coords="all") as found:
            for name in ("x_velocity", "thickness", "floating_ice", "x_front", "y_normal"):
                np.testing.assert_array_equal(found[name], expected[name])
        assert run(capsys, "info", out)[0] == 0
        status, _, err = run(capsys, *arguments)
        assert status == 2
        assert_one_line(err, "shelf.nc exists", "--overwrite")

    def test_all_that_chooses_a_shelf_is_handed_on(self, capsys, files, tmp_path, monkeypatch):
        given = {}

        def assemble(velocity, *others, **more):
            given.update(more, velocity=velocity, others=others)
            return small_shelf()

        monkeypatch.setattr("xdiffice.observations.shelf.assemble", assemble)
        arguments = [
            *("assemble", "vx.tif", "vy.tif", "--thickness", "h.nc", "--mask", "surface_type"),
            *("--bbox", "-2.3e6", "-.5", "-2E6", "1e6", "--floating-values", "2", "3"),
            *("--ocean-values", "0", "--units", "h=m", "--quiet", "-o", tmp_path / "out.nc"),
        ]
        assert run(capsys, *arguments) == (0, "", "")
        assert given["velocity"] == ["vx.tif", "vy.tif"]
        assert given["others"] == ("h.nc", "surface_type")
        assert given["bbox"] == [-2.3e6, -0.5, -2e6, 1e6]
        assert (given["floating_values"], given["ocean_values"]) == ([2, 3], [0])
        assert given["units"] == {"h": "m"}
        assert given["seed_point"] is given["name"] is given["front"] is None

    def test_one_choice_and_files_that_are_there(self, capsys, files, tmp_path):
        out = ("-o", tmp_path / "out.nc")
        chosen = ("--name", "Larsen C", "--seed-point", "0", "0")
        status, _, err = run(capsys, "assemble", files[0], *chosen, *out)
        assert status == 2
        assert_one_line(err, "--seed-point: not allowed with argument --name")
        status, _, err = run(capsys, "assemble", tmp_path / "none.nc", *out)
        assert status == 2
        assert_one_line(err, "none.nc")
        assert not out[1].exists()


class TestPipes:
    """Who reads the output may go."""

    @pytest.mark.parametrize("arguments", ["info shelf.nc --json", "--help", "--version"])
    def test_a_reader_that_has_gone_is_no_error(self, tmp_path, shelf_file, arguments):
        command = f"{shlex.quote(sys.executable)} -m xdiffice {arguments} | true"
        done = subprocess.run(
            ["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.stderr == ""
        assert int(done.stdout) in (0, cli.READER_GONE)


class TestInfo:
    def test_complete_shelf(self, capsys, shelf_file):
        status, text, err = run(capsys, "info", shelf_file)
        assert (status, err) == (0, "")
        for name in ("x_velocity", "thickness", "x_front", "m s-1"):
            assert name in text

    def test_json_is_json(self, capsys, shelf_file):
        status, text, _ = run(capsys, "info", shelf_file, "--json")

        def refuse(constant):
            raise AssertionError(f"{constant} is not JSON")

        found = json.loads(text, parse_constant=refuse)
        assert status == 0
        assert found["ok"] is True
        names = {row["role"]: row["name"] for row in found["variables"]}
        assert names["thickness"] == "thickness"

    def test_incomplete_shelf_has_status_2_and_says_why(self, capsys, tmp_path):
        bad = small_shelf().drop_vars(["thickness", "x_front"])
        bad.to_netcdf(tmp_path / "bad.nc")
        status, text, err = run(capsys, "info", tmp_path / "bad.nc")
        assert status == 2
        assert "thickness" in text
        assert_one_line(err, "bad.nc cannot be inverted", "thickness", "front", "; ")

    def test_units_and_other_files_can_be_given(self, capsys, tmp_path):
        shelf = small_shelf()
        shelf["thickness"].attrs.pop("units")
        shelf[["thickness"]].to_netcdf(tmp_path / "h.nc")
        shelf.drop_vars("thickness").to_netcdf(tmp_path / "v.nc")
        arguments = ("info", tmp_path / "v.nc", "--thickness", tmp_path / "h.nc")
        assert run(capsys, *arguments)[0] == 2
        assert run(capsys, *arguments, "--units", "thickness=m")[0] == 0


def test_warnings_are_one_line_without_source(capsys, shelf_file, stub, monkeypatch, tmp_path):
    import warnings

    def warn(self, *data, **more):
        warnings.simplefilter("always")
        warnings.warn("speeds look like\nm/yr", UserWarning, stacklevel=2)
        return StubInverter.fit(self, *data, **more)

    warning = type("Warning", (StubInverter,), {"fit": warn})
    monkeypatch.setattr(sys.modules["xdiffice.inverter"], "SSAViscosityInverter", warning)
    showwarning, filters = warnings.showwarning, list(warnings.filters)
    status, _, err = run(capsys, "invert", shelf_file, "-o", tmp_path / "out.nc")
    assert (status, err) == (0, "xdiffice: warning: speeds look like m/yr\n")
    assert warnings.showwarning is showwarning
    assert warnings.filters == filters


def example_lines() -> list[str]:
    return [line for lines in cli.EXAMPLES.values() for line in lines]


@pytest.mark.parametrize("line", example_lines())
def test_examples_of_the_help_are_understood(line):
    program, *arguments = shlex.split(line)
    assert program == "xdiffice"
    assert cli._parser().parse_args(arguments).command == arguments[0]


@pytest.mark.parametrize("command", [None, *cli.EXAMPLES])
def test_help_ends_with_examples(capsys, command):
    with pytest.raises(SystemExit, match="0"):
        main([*([command] if command else []), "--help"])
    told = capsys.readouterr().out
    shown = cli.EXAMPLES[command] if command else [lines[0] for lines in cli.EXAMPLES.values()]
    for line in shown:
        assert f"\n  {line}\n" in told + "\n"
    if command is None:
        for status in (0, cli.RUN_FAILED, cli.BAD_INPUT, cli.INTERRUPTED):
            assert re.search(rf"^  {status}  +\w", told, re.MULTILINE)


def test_version_tells_what_a_report_of_a_bug_needs(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    told = dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())
    assert told["xdiffice"] == xdiffice.__version__
    assert told["xarray"] == xr.__version__
    assert told["numpy"] == np.__version__
    assert "cpu" in told["devices"]


def test_a_broken_driver_keeps_nobody_from_reporting_it(capsys, monkeypatch):
    import jax

    def broken():
        raise RuntimeError("no driver\nfor this")

    monkeypatch.setattr(jax, "devices", broken)
    monkeypatch.setattr(versions, "PACKAGES", ("xarray", "no-such-package"))
    xdiffice.show_versions()
    told = capsys.readouterr().out
    assert "devices JAX cannot start: no driver for this\n" in told
    assert "no-such-package not installed\n" in told


def test_parameters_of_a_file_hold_unless_an_option_says_otherwise(stub, shelf_file, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text('random_state = 7\nmax_seconds = 30\n[units]\nx_velocity = "m s-1"\n')
    command = ["invert", str(shelf_file), "--config", str(config), "-o"]
    assert main([*command, str(tmp_path / "a.nc")]) == 0
    assert main([*command, str(tmp_path / "b.nc"), "--max-seconds", "5", "--seed", "0"]) == 0
    first, second = (made.params for made in stub.made)
    assert first["random_state"] == 7
    assert first["max_seconds"] == 30
    assert first["units"] == {"x_velocity": "m s-1"}
    assert second["random_state"] == 0
    assert second["max_seconds"] == 5


def test_a_checkpoint_of_a_file_is_beside_the_file(stub, shelf_file, tmp_path, monkeypatch):
    config = tmp_path / "run.toml"
    config.write_text('checkpoint = "state.nc"\n')
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["invert", str(shelf_file), "--config", str(config), "-o", "a.nc"]) == 0
    assert stub.made[0].params["checkpoint"] == tmp_path / "state.nc"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("max_second = 3\n", "'max_second' is unknown; did you mean max_seconds"),
        ("zzz = 3\n", "'zzz' is unknown; known are rheology, subdomains"),
        ("a = 1\nb = = 2\n", "is no TOML: Invalid value (at line 2"),
        (None, "no such file"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(stub, shelf_file, tmp_path, capsys, text, told):
    config = tmp_path / "run.toml"
    if text:
        config.write_text(text)
    command = ["invert", str(shelf_file), "--config", str(config), "-o", f"{tmp_path}/a.nc"]
    assert main(command) == cli.BAD_INPUT
    err = capsys.readouterr().err
    assert told in err
    assert "run.toml" in err
    assert err.count("\n") == 1
    assert not stub.made


def test_bash_completes_commands_options_and_files(tmp_path, capsys):
    pytest.importorskip("shtab")
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    with pytest.raises(SystemExit, match="0"):
        main(["--print-completion", "bash"])
    script = tmp_path / "completion.bash"
    script.write_text(capsys.readouterr().out)
    (tmp_path / "shelf_of_ice.nc").touch()

    def completed(*words: str) -> list[str]:
        code = (
            f"source {script}; COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; "
            "$(complete -p xdiffice | sed 's/.*-F \\([^ ]*\\).*/\\1/'); "
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path
        )
        return done.stdout.split()

    assert completed("xdiffice", "inv") == ["invert"]
    assert completed("xdiffice", "invert", "--max-s") == ["--max-seconds"]
    assert completed("xdiffice", "info", "shelf_") == ["shelf_of_ice.nc"]


def test_completion_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit, match="2"):
        main(["--print-completion", "zsh"])
    assert 'pip install "xdiffice[completion]"' in capsys.readouterr().err
