"""What each command does: read files, call the estimator or the report, write files.

Each takes parsed arguments and returns an exit status; bad input leaves as an exception.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from .cli import BAD_INPUT, INTERRUPTED, RUN_FAILED, as_options, complain, one_line
from .errors import FileFormatError, MissingDependencyError
from .results.names import VISCOSITIES
from .results.outcome import STRESSES, stopped_by
from .results.writing import check_outputs, write_whole

if TYPE_CHECKING:
    from .inverter import SSAViscosityInverter


def demo(arguments: argparse.Namespace) -> int:
    """Invert a synthetic shelf and print the error against the known viscosity."""
    from .results.comparison import relative_error
    from .synthetic import confined_shelf

    directory = arguments.output_dir
    directory.mkdir(parents=True, exist_ok=True)
    netcdf, picture = directory / "viscosity.nc", directory / "viscosity.png"
    check_outputs([netcdf, picture], overwrite=arguments.overwrite)
    drawn = _can_draw()
    say = _speaker(arguments.quiet)
    say("making a synthetic ice shelf")
    shelf = confined_shelf()
    estimator = _fit(_training(arguments), shelf)
    result = estimator.predict()
    write_whole(netcdf, result.to_netcdf)
    if drawn:
        write_whole(picture, lambda path: _draw(path, result, shelf, truth=shelf))
    _summarise(estimator, result, say)
    error = relative_error(result["viscosity"], shelf["viscosity"])
    say(f"relative L2 error of viscosity: {100 * error:.2f} %")
    say(f"wrote {netcdf}" + (f" and {picture}" if drawn else ""))
    return _status(estimator, netcdf)


def assemble(arguments: argparse.Namespace) -> int:
    """Cut a shelf out of files, write it, and tell what was found."""
    from .observations.report import report
    from .observations.shelf import assemble as assembled

    given = [arguments.thickness, arguments.mask, arguments.front]
    inputs = [*arguments.input, *(file for file in given if file)]
    check_outputs([arguments.output], overwrite=arguments.overwrite, inputs=inputs)
    velocity = arguments.input[0] if len(arguments.input) == 1 else arguments.input
    shelf = assembled(
        velocity,
        arguments.thickness,
        arguments.mask,
        front=_open(arguments.front) if arguments.front else None,
        name=arguments.name,
        seed_point=arguments.seed_point,
        bbox=arguments.bbox,
        floating_values=arguments.floating_values,
        ocean_values=arguments.ocean_values,
        **_reading(arguments),
    )
    write_whole(arguments.output, _writer(arguments.output, shelf))
    say = _speaker(arguments.quiet)
    say(str(report(shelf)))
    say(f"wrote {arguments.output}")
    return 0


def invert(arguments: argparse.Namespace) -> int:
    """Infer the viscosity of a shelf in files and write it to a file."""
    params = _parameters(arguments)
    outputs = [arguments.output, *([arguments.plot] if arguments.plot else [])]
    files = [arguments.input, arguments.thickness, arguments.mask, arguments.front]
    kept = [Path(params["checkpoint"])] if params.get("checkpoint") else []
    inputs = [file for file in files if file]
    goes_on = any(path.exists() for path in kept) and _is_interrupted(arguments.output)
    check_outputs(outputs, overwrite=arguments.overwrite or goes_on, inputs=[*inputs, *kept])
    check_outputs(kept, overwrite=True, inputs=inputs)
    if arguments.plot:
        from .pictures.formats import check_format

        check_format(arguments.plot)
    velocity = _open(arguments.input)
    thickness, mask, front = (_open(file) if file else None for file in files[1:])
    estimator = _fit(params, velocity, thickness, mask=mask, front=front)
    result = estimator.predict()
    write_whole(arguments.output, _writer(arguments.output, result))
    if arguments.plot:
        names = {key: params.get(key) for key in ("variables", "units")}
        data = {"thickness": thickness, "front": front, **names}
        write_whole(arguments.plot, lambda path: _draw(path, result, velocity, **data))
    say = _speaker(arguments.quiet)
    _summarise(estimator, result, say)
    say(f"wrote {' and '.join(map(str, outputs))}")
    return _status(estimator, arguments.output, *kept)


def twin(arguments: argparse.Namespace) -> int:
    """Make the data of a shelf anew, with a viscosity that is known."""
    from .synthetic.twins import twin as made

    files = [arguments.result, arguments.thickness, arguments.mask, arguments.front]
    inputs = [arguments.input, *(file for file in files if file)]
    check_outputs([arguments.output], overwrite=arguments.overwrite, inputs=inputs)
    velocity = _open(arguments.input)
    result, thickness, mask, front = (_open(file) if file else None for file in files)
    known = _given(
        glen_exponent=arguments.glen_exponent,
        random_state=arguments.seed,
        noise=False if arguments.no_noise else None,
    )
    twin = made(
        velocity,
        result,
        hardness=arguments.hardness,
        damage_bands=arguments.damage_bands,
        damage_width=arguments.damage_width,
        mesh_size=arguments.mesh_size,
        thickness=thickness,
        mask=mask,
        front=front,
        **known,
        **_reading(arguments),
    )
    write_whole(arguments.output, _writer(arguments.output, twin))
    say = _speaker(arguments.quiet)
    for sentence in filter(None, str(twin.attrs.get("comment", "")).split(". ")):
        say(f"note: {sentence}")
    say(f"{twin.attrs['n_triangles']} triangles, seed {twin.attrs['seed']}")
    say(f"wrote {arguments.output}")
    return 0


def info(arguments: argparse.Namespace) -> int:
    """Print what was found in files and what is missing, or what a result is."""
    from .observations.report import report
    from .results.overview import is_result, overview

    files = [arguments.thickness, arguments.mask, arguments.front]
    velocity = _open(arguments.input)
    if is_result(velocity):
        result = overview(velocity.load())
        print(json.dumps(dict(result.rows), indent=2) if arguments.json else result)
        return 0
    thickness, mask, front = (_open(file) if file else None for file in files)
    found = report(velocity, thickness, mask=mask, front=front, **_reading(arguments))
    print(json.dumps(_plain(found.to_dict()), indent=2) if arguments.json else found)
    if not found.problems:
        return 0
    problems = as_options("; ".join(" ".join(problem.split()) for problem in found.problems))
    return complain(f"{arguments.input} cannot be inverted: {problems}", BAD_INPUT)


def report(arguments: argparse.Namespace) -> int:
    """Make a page of a result, or of what a saved inverter predicts."""
    from .pictures.observed import Observed
    from .pictures.web import web_page

    files = [arguments.data, arguments.thickness, arguments.front]
    inputs = [arguments.result, *(file for file in files if file)]
    check_outputs([arguments.output], overwrite=arguments.overwrite, inputs=inputs)
    _require_matplotlib()
    result, history = _result(arguments.result)
    data, thickness, front = (_open(file) if file else None for file in files)
    observed = None
    if data is not None:
        observed = Observed(data, thickness, front=front, **_reading(arguments))
    page = web_page(result, observed, history)
    write_whole(arguments.output, lambda path: path.write_text(page, encoding="utf-8"))
    print(f"wrote {arguments.output}")
    return 0


def campaign(arguments: argparse.Namespace) -> int:
    """Invert all shelves that a file names."""
    from .campaigns.conduct import campaign as conducted
    from .campaigns.configuration import read_configuration

    options = read_configuration(arguments.config)
    if arguments.scheduler:
        options["client"] = arguments.scheduler
    done = conducted(**options, overwrite=arguments.overwrite, progress=not arguments.quiet)
    say = _speaker(arguments.quiet)
    for run, row in done.table.iterrows():
        error = f": {row['error']}" if row["outcome"] == "failed" else ""
        say(f"{row['outcome']:9} {run}{error}")
    failed = [str(run) for run in done.table.index[done.table["outcome"] == "failed"]]
    if failed:
        return complain(f"failed: {', '.join(failed)}; the others are in {done.store}", RUN_FAILED)
    say(f"wrote {done.store}")
    return 0


def _parameters(arguments: argparse.Namespace) -> dict[str, Any]:
    """Parameters of a file, and of the command in their place."""
    from .inverter import SSAViscosityInverter
    from .toml import read_parameters

    file = read_parameters(arguments.config, SSAViscosityInverter) if arguments.config else {}
    return file | _given(
        rheology=arguments.rheology,
        subdomains=arguments.subdomains,
        n_members=arguments.members,
        checkpoint=arguments.checkpoint,
        **_training(arguments),
        **_reading(arguments),
    )


def _given(**arguments: Any) -> dict[str, Any]:
    """Keep what was given: the estimator's own defaults hold for the rest."""
    return {name: value for name, value in arguments.items() if value is not None}


def _reading(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "variables": dict(arguments.variable) or None,
        "units": dict(arguments.units) or None,
    }


def _training(arguments: argparse.Namespace) -> dict[str, Any]:
    return _given(
        random_state=arguments.seed,
        progress=False if arguments.quiet else None,
        max_seconds=arguments.max_seconds,
        max_iterations=arguments.max_iterations,
    )


def _result(file: str) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Read a prediction, or make that of a saved inverter, with the history of its training."""
    found = _open(file)
    if "format" not in found.attrs:
        if not any(name in found for name in VISCOSITIES):
            raise FileFormatError(
                f"{file} is no result: it has none of {', '.join(VISCOSITIES)}; "
                "xdiffice invert makes one"
            )
        return found, None
    from .storage import load

    estimator = load(file)
    return estimator.predict(), estimator.history_


def _open(file: str) -> xr.Dataset:
    """Open a file lazily: only what the inversion needs is read later."""
    if "://" not in file and not Path(file).exists():
        raise FileFormatError(f"no such file: {file}")
    try:
        store: dict[str, Any] = (
            {"engine": "zarr", "consolidated": False} if Path(file).suffix == ".zarr" else {}
        )
        return xr.open_dataset(file, decode_coords="all", chunks={}, **store)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()).partition(". ")[0][:200]
        raise FileFormatError(f"{file} cannot be read as netCDF: {reason}") from error


def _fit(params: dict[str, Any], *data: Any, **more: Any) -> SSAViscosityInverter:
    """Fit; an interruption before the first iteration leaves nothing worth writing."""
    from .inverter import SSAViscosityInverter

    estimator = SSAViscosityInverter(**params).fit(*data, **more)
    if estimator.stop_reason_ == "interrupted" and not estimator.n_iter_:
        raise KeyboardInterrupt("interrupted before the first iteration; nothing was written")
    return estimator


def _status(estimator: SSAViscosityInverter, output: Path, *kept: Path) -> int:
    if estimator.stop_reason_ != "interrupted":
        return 0
    reached = f"interrupted after {estimator.n_iter_} iterations; {output} has what was reached"
    for path in kept:
        if path.exists():
            reached += f"; the same command goes on from {path}"
        else:
            reached += f"; it was too early for {path}, the same command begins anew"
    return complain(reached, INTERRUPTED)


def _is_interrupted(path: Path) -> bool:
    """Whether a file is what an interruption left of a result: the one whose training goes on."""
    if not path.exists():
        return False
    try:
        with _open(str(path)) as found:
            return bool(found.attrs.get("stop_reason") == "interrupted")
    except FileFormatError:
        return False


def _writer(path: Path, dataset: xr.Dataset) -> Callable[[Path], object]:
    """Return what writes a Dataset in the format that a name asks for: Zarr, or netCDF."""
    if path.suffix == ".zarr":
        return lambda beside: dataset.to_zarr(beside, mode="w", consolidated=False)
    return dataset.to_netcdf


def _speaker(quiet: bool) -> Callable[[str], None]:
    return (lambda _: None) if quiet else print


def _summarise(
    estimator: SSAViscosityInverter, result: xr.Dataset, say: Callable[[str], None]
) -> None:
    """Print what a user needs to judge the fit: doubts, misfits, residuals, why it stopped."""
    for note in estimator.notes_:
        say(f"note: {note}")
    for name, misfit in estimator.misfit_.items():
        say(f"misfit of {name} (relative L2): {100 * misfit:.3g} %")
    for name in ("x_momentum_residual", "y_momentum_residual"):
        rms = float((result[name] ** 2).mean() ** 0.5)
        say(f"{name} (rms): {rms:.3g} {result[name].attrs['units']}")
    for name, share in estimator.residual_.items():
        if name in STRESSES:
            say(f"residual of {name}, relative to {STRESSES[name]} (rms): {100 * share:.3g} %")
        else:
            say(
                f"misfit of {name}, modelled with this viscosity (relative L2): {100 * share:.3g} %"
            )
    for name, share in estimator.jump_.items():
        say(f"jump of {name} between subdomains, relative to its range (rms): {100 * share:.2g} %")
    say(f"stopped after {estimator.n_iter_} iterations: {stopped_by(estimator.stop_reason_)}")


def _can_draw() -> bool:
    """Tell whether pictures can be drawn, and the user why not."""
    try:
        _require_matplotlib()
    except MissingDependencyError as error:
        print(f"xdiffice: no picture: {one_line(error)}", file=sys.stderr)
        return False
    return True


def _require_matplotlib() -> None:
    from .pictures.maps import require_matplotlib

    require_matplotlib()


def _draw(
    path: Path,
    result: xr.Dataset,
    observed: xr.Dataset,
    thickness: xr.Dataset | None = None,
    front: xr.Dataset | None = None,
    *,
    truth: xr.Dataset | None = None,
    **reading: Any,
) -> None:
    """Draw a result beside the data that it is from."""
    from .pictures.observed import Observed
    from .pictures.summary import summary_figure

    data = Observed(observed, thickness, front=front, **reading)
    summary_figure(result, data, truth).savefig(path, dpi=150)


def _plain(value: Any) -> Any:
    """Replace NaN and infinity, which JSON does not have, by null."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
