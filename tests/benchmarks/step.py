"""How long one evaluation of the joint loss and its gradient takes, as a table.

Beside it stand the reference, DIFFICE_jax 1.0.2, at the same networks, points and data, and the
arithmetic floor: the time of the matrix products and hyperbolic tangents alone, at the rates that
this machine reaches in the same minute. All rows take turns, so that a busy machine slows all.

    python tests/benchmarks/step.py
    python tests/benchmarks/step.py SynData_exp1.mat
    python tests/benchmarks/step.py SynData_exp1.mat --reference-env DIR --quick

Without a file of DIFFICE_jax the package's own shelf is taken, and there is no reference. The
reference needs an old JAX and gets an environment of its own, in the user's cache or in DIR: made
there with pip if there is none, used again if there is.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
import xarray as xr

import xdiffice
from xdiffice.model.fields import Model
from xdiffice.model.network import Network
from xdiffice.model.precision import double_precision
from xdiffice.nondimensional import nondimensional_points, shelf_scales
from xdiffice.observations.gather import gather
from xdiffice.physics.constants import PhysicalConstants
from xdiffice.physics.rheology import Isotropic
from xdiffice.physics.scales import EquationUnits
from xdiffice.training.loss import Batch, Sample
from xdiffice.training.objectives import FitAll
from xdiffice.training.problem import Recipe
from xdiffice.training.sampling import draw

WIDTH, DEPTH = 30, 6
POINTS = 4000, 3000, 4000, 600  # velocity, thickness, interior, front
REFERENCE = "DIFFICE_jax==1.0.2"
REFERENCE_PACKAGES = (
    REFERENCE,
    "jax==0.4.26",
    "jaxlib==0.4.26",
    "numpy<2",
    "scipy<1.13",
    "optax==0.2.2",
    "tensorflow-probability==0.23.0",
)
REFERENCE_STEPS = 3  # a step of it takes seconds, and its loop needs three
RATE = 1e-9  # of the descent: a step must use the gradient, but should not go anywhere

SQUARE = 2000  # large enough for the matrix products to reach the machine's full rate
THIN = 30_000, 30
ELEMENTS = 1_000_000


class NoReferenceError(Exception):
    """Why there is no row of the reference."""


# What is timed: our step -------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """A model and a sample of points, on the host."""

    model: Model
    sample: Sample

    @property
    def points(self) -> tuple[int, ...]:
        """Velocity, thickness, interior and front points."""
        return tuple(part.x.size for part in self.sample.batch)

    @property
    def networks(self) -> str:
        """Hidden layers of each network, and the activation of the first."""
        hidden = self.model.motion.sizes[1:-1]
        widths = "-".join(str(n) for n in hidden)
        if len(set(hidden)) == 1:
            widths = f"{len(hidden)} x {hidden[0]}"
        return f"{widths}, {self.model.motion.first_layer} first"


def problems(source: str | None) -> tuple[Problem, Problem]:
    """The comparison's networks and points, and the library's own, on one shelf."""
    if source is None:
        shelf: xr.Dataset = xdiffice.synthetic.confined_shelf()
    else:
        shelf = xdiffice.open_diffice_mat(source, velocity_units="m s-1")
    rng = np.random.default_rng(0)
    model, units, points, recipe = handed_to_training(shelf)
    defaults = Sample(draw(points, recipe.sizes, rng), units, recipe.weights)

    observations = gather(shelf)
    scales = shelf_scales(observations, PhysicalConstants())
    every = nondimensional_points(observations, scales)
    batch = Batch(*(_draw(part, n, rng) for part, n in zip(every, POINTS, strict=True)))
    motion, viscosity = (
        Network(n_outputs=n, width=WIDTH, depth=DEPTH, first_layer="tanh") for n in (3, 1)
    )
    return (
        Problem(
            Model(motion=motion, viscosity=viscosity, rheology=Isotropic()),
            Sample(batch, scales.equation_units, recipe.weights),
        ),
        Problem(model, defaults),
    )


class _HandedOverError(Exception):
    """Ends a fit where its training would begin."""


def handed_to_training(
    shelf: xr.Dataset, **parameters
) -> tuple[Model, EquationUnits, Batch, Recipe]:
    """What `fit` hands to the training, caught on the way: the defaults, whatever chooses them."""
    estimator = xdiffice.SSAViscosityInverter(progress=False, **parameters)
    with mock.patch("xdiffice.inverter.train", side_effect=_HandedOverError) as train:
        with contextlib.suppress(_HandedOverError):
            estimator.fit(shelf)
        (problem,), *_ = train.call_args.args
    return problem.model, problem.units, problem.points, problem.recipe


def _draw(part, n: int, rng: np.random.Generator):
    """Draw with repetition, as the reference does: a front has fewer points than are asked for."""
    chosen = rng.integers(len(part.x), size=n)
    return jax.tree.map(lambda array: array[chosen], part)


@functools.partial(jax.jit, static_argnames=("objective", "steps"))
def _descend(objective, theta, sample, rate, steps):
    """Take plain gradient steps in one program, as a training does, so that no call is timed."""

    def step(theta, _):
        (value, _), gradient = jax.value_and_grad(objective, has_aux=True)(theta, sample)
        return theta - rate * gradient, value

    return jax.lax.scan(step, theta, length=steps)


@contextlib.contextmanager
def _precision(name: str) -> Iterator[None]:
    with double_precision() if name == "float64" else jax.enable_x64(False):
        yield


def our_step(problem: Problem, precision: str, steps: int) -> Callable[[], float]:
    """Return the measurement of one step, compiled."""
    with _precision(precision):
        theta = jnp.asarray(problem.model.init(np.random.default_rng(0)), precision)
        sample = jax.device_put(problem.sample)

    def measure() -> float:
        with _precision(precision):
            started = time.perf_counter()
            last, values = _descend(FitAll(problem.model), theta, sample, RATE, steps)
            jax.block_until_ready(last)
            seconds = time.perf_counter() - started
        if str(last.dtype) != precision or not np.isfinite(values).all():
            raise AssertionError(f"{last.dtype} instead of {precision}, losses {values}")
        return seconds / steps

    measure()
    return measure


# What it could take at best ----------------------------------------------------------------------


@dataclass(frozen=True)
class Arithmetic:
    """What one evaluation of loss and gradient has to compute in the networks."""

    flop: float
    activations: float


def arithmetic(problem: Problem) -> Arithmetic:
    """Count the matrix products and activations of one loss with its gradient.

    Streams are what the residuals need of a network: the value at data, six (value, two first,
    three second derivatives) of the motion and three of the viscosity in the interior, three and
    one at the front. Of everything else, the chain rule of the activations above all, nothing is
    counted, so the floor cannot be reached.
    """
    motion, viscosity = problem.model.motion, problem.model.viscosity
    n_velocity, n_thickness, n_interior, n_front = problem.points
    passes = (
        (motion, n_velocity + n_thickness, 1),
        (motion, n_interior, 6),
        (motion, n_front, 3),
        (viscosity, n_interior, 3),
        (viscosity, n_front, 1),
    )
    return Arithmetic(
        flop=sum(_products(network, n, streams) for network, n, streams in passes),
        activations=sum(_activations(network, n) for network, n, _ in passes),
    )


def _products(network: Network, n: int, streams: int) -> float:
    """Floating-point operations of the products, forward, and twice that in reverse.

    In the first layer only the value has a product, for derivatives of x and y are 0 and 1, and
    nothing goes back to the positions.
    """
    first, *others = (2 * n_in * n_out * n for n_in, n_out in pairwise(network.sizes))
    return 2 * first + 3 * streams * sum(others)


def _activations(network: Network, n: int) -> float:
    """Number of tangents; a sine layer needs the cosine too, each counted as one tangent."""
    first, *others = network.sizes[1:-1]
    return n * (first * (2 if network.first_layer == "sine" else 1) + sum(others))


@functools.partial(jax.jit, static_argnames="times")
def _multiply(left, right, times):
    return jax.lax.fori_loop(0, times, lambda _, product: product @ right, left)


@functools.partial(jax.jit, static_argnames="times")
def _tanh(values, times):
    return jax.lax.fori_loop(0, times, lambda _, value: jnp.tanh(value), values)


def machine(precision: str) -> dict[str, Callable[[], float]]:
    """Return measurements of the machine: flop/s of products, seconds of one tanh."""
    rng = np.random.default_rng(0)
    n, width = THIN

    def timed(function, arguments, times) -> float:
        with _precision(precision):
            started = time.perf_counter()
            jax.block_until_ready(function(*arguments, times))
            return (time.perf_counter() - started) / times

    def array(*shape: int, scale: float = 1.0) -> jax.Array:
        with _precision(precision):
            return jnp.asarray(scale * rng.normal(size=shape), precision)

    # Scaled so that a repeated product neither grows nor fades into numbers that are slow.
    square = array(SQUARE, SQUARE), array(SQUARE, SQUARE, scale=SQUARE**-0.5)
    thin = array(n, width), array(width, width, scale=width**-0.5)
    vector = (array(ELEMENTS),)
    measurements = {
        f"product {precision}": lambda: 2 * SQUARE**3 / timed(_multiply, square, 2),
        f"thin product {precision}": lambda: 2 * n * width**2 / timed(_multiply, thin, 20),
        f"tanh {precision}": lambda: timed(_tanh, vector, 20) / ELEMENTS,
    }
    for measure in measurements.values():
        measure()
    return measurements


# The reference -----------------------------------------------------------------------------------


def reference_python(directory: Path) -> Path:
    """Return the interpreter of the reference's environment, which is made if there is none.

    Raises
    ------
    NoReferenceError
        It cannot be made, as without network, or what is there is something else.
    """
    python = directory / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not directory.exists() or not any(directory.iterdir()):
        print(f"making an environment for {REFERENCE} in {directory}", file=sys.stderr)
        try:
            venv.create(directory, with_pip=True)
            pip = [python, "-I", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
            subprocess.run([*pip, *REFERENCE_PACKAGES], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            shutil.rmtree(directory, ignore_errors=True)  # half an environment is none
            raise NoReferenceError(
                f"no environment for {REFERENCE} could be made; what pip said is above"
            ) from error
    found = "import importlib.metadata as m; print('DIFFICE_jax==' + m.version('DIFFICE_jax'))"
    try:
        answer = subprocess.run(
            [python, "-I", "-c", found], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoReferenceError(
            f"{directory} is there, but {REFERENCE} is not in it; name an empty folder with "
            "--reference-env"
        ) from error
    if answer.stdout.strip() != REFERENCE:
        raise NoReferenceError(f"{directory} has {answer.stdout.strip()} instead of {REFERENCE}")
    return python


class Reference:
    """The reference as a program of its own, which waits while it is not asked."""

    def __init__(self, python: Path, source: str, points: tuple[int, ...]):
        worker = Path(__file__).with_name("step_reference.py")
        numbers = [str(number) for number in (WIDTH, DEPTH, *points)]
        # The reference is timed as it ships: JAX settings of this shell are not for it.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
        self._process = subprocess.Popen(
            [python, "-I", worker, source, *numbers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        found = self._answer()
        self.precision, self.versions = found["precision"], found["versions"]

    def measurement(self, what: str) -> Callable[[], float]:
        """Return the measurement of ``adam`` or ``gradient``."""

        def measure() -> float:
            print(what, REFERENCE_STEPS, file=self._process.stdin, flush=True)
            return self._answer()

        return measure

    def close(self) -> None:
        """Let it end."""
        self._process.stdin.close()
        self._process.wait()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise NoReferenceError(f"the reference ended with status {self._process.wait()}")
        return json.loads(line)


def started_reference(
    source: str | None, directory: Path, points: tuple[int, ...]
) -> Reference | None:
    """Return the reference, or None after a sentence that says why there is none."""
    try:
        if source is None:
            raise NoReferenceError("it reads a .mat file, and none was given")
        return Reference(reference_python(directory), source, points)
    except NoReferenceError as why:
        print(f"no reference: {why}", file=sys.stderr)
        return None


# The table ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One kind of step: what it is, how it is measured and what it computes."""

    name: str
    precision: str
    problem: Problem
    measure: Callable[[], float]
    ours: bool = True


def interleaved(
    measurements: dict[str, Callable[[], float]], repeats: int
) -> dict[str, list[float]]:
    """Measure everything once, then everything again, and so on."""
    results: dict[str, list[float]] = {name: [] for name in measurements}
    for repeat in range(repeats):
        print(f"repeat {repeat + 1} of {repeats}", file=sys.stderr)
        for name, measure in measurements.items():
            results[name].append(measure())
    return results


def floor(counted: Arithmetic, precision: str, medians: dict[str, float]) -> tuple[float, float]:
    """Seconds of the products and of the activations."""
    return (
        counted.flop / medians[f"product {precision}"],
        counted.activations * medians[f"tanh {precision}"],
    )


def print_table(header: str, rows: list[list[str]]) -> None:
    titles = header.split(", ")
    print("| " + " | ".join(titles) + " |")
    print("|" + " --- |" * len(titles))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def report(rows: list[Row], results: dict[str, list[float]]) -> None:
    """Print the steps, what they compute, the machine, and the ratios."""
    medians = {name: statistics.median(values) for name, values in results.items()}
    references = [row for row in rows if not row.ours]
    table = []
    for row in rows:
        seconds = results[row.name]
        products, activations = floor(arithmetic(row.problem), row.precision, medians)
        best = products + activations
        cells = [
            row.name,
            row.precision,
            row.problem.networks,
            "/".join(str(n) for n in row.problem.points),
            f"{1e3 * medians[row.name]:.1f}",
            f"{1e3 * min(seconds):.1f}-{1e3 * max(seconds):.1f}",
            "-",
            "-",
        ]
        if row.ours:
            cells[-2:] = (
                f"{1e3 * best:.1f} ({1e3 * products:.1f} + {1e3 * activations:.1f})",
                f"{medians[row.name] / best:.2f}",
            )
        table.append(cells)
    print_table(
        "step, precision, hidden layers, points, median ms, range ms, "
        "floor ms (products + activations), over floor",
        table,
    )
    print()
    for row in rows:
        if row.ours and row.precision == "float64":
            counted = arithmetic(row.problem)
            print(
                f"{row.name}: {counted.flop / 1e9:.2f} Gflop in products, "
                f"{counted.activations / 1e6:.2f} million activations"
            )
        for other in references:
            if row.ours and row.problem is other.problem:
                ratio = medians[other.name] / medians[row.name]
                print(f"{other.name} / {row.name}: {ratio:.1f}")
    print()
    print_table(
        "machine, product Gflop/s, thin product Gflop/s, tanh ns",
        [
            [
                precision,
                _with_range(results[f"product {precision}"], 1e-9, 0),
                _with_range(results[f"thin product {precision}"], 1e-9, 0),
                _with_range(results[f"tanh {precision}"], 1e9, 2),
            ]
            for precision in ("float64", "float32")
        ],
    )


def _with_range(values: list[float], scale: float, digits: int) -> str:
    """Median and range: where they are far apart, others were computing, and ratios suffer."""
    median, low, high = (scale * f(values) for f in (statistics.median, min, max))
    return f"{median:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def default_environment() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "xdiffice" / REFERENCE.replace("==", "-")


def cores() -> int:
    """Cores that this process may use, which a container or `taskset` may have limited."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", metavar="FILE.mat")
    parser.add_argument("--reference-env", type=Path, metavar="DIR", default=default_environment())
    parser.add_argument("--repeats", type=int, default=5, help="of everything, in turns")
    parser.add_argument("--steps", type=int, default=10, help="of ours in one repeat")
    parser.add_argument("--quick", action="store_true", help="three repeats of three steps")
    arguments = parser.parse_args()
    repeats, steps = (3, 3) if arguments.quick else (arguments.repeats, arguments.steps)

    comparison, defaults = problems(arguments.file)
    rows = [
        Row("ours", "float64", comparison, our_step(comparison, "float64", steps)),
        Row("ours in float32", "float32", comparison, our_step(comparison, "float32", steps)),
        Row("ours at the defaults", "float64", defaults, our_step(defaults, "float64", steps)),
    ]
    measurements = machine("float64") | machine("float32")
    reference = started_reference(arguments.file, arguments.reference_env, comparison.points)
    versions = [f"xdiffice {xdiffice.__version__}", f"jax {jax.__version__}"]
    versions += [f"jaxlib {jaxlib.__version__}", f"Python {platform.python_version()}"]
    print(f"{platform.machine()}, {cores()} cores, {jax.default_backend()}, {', '.join(versions)}")
    if reference is not None:
        print(f"reference: {REFERENCE}, {reference.versions}")
        rows += [
            Row(name, reference.precision, comparison, reference.measurement(what), ours=False)
            for name, what in (
                ("reference, its Adam step", "adam"),
                ("reference, loss and gradient", "gradient"),
            )
        ]
    print(flush=True)
    measurements |= {row.name: row.measure for row in rows}
    results = interleaved(measurements, repeats)
    if reference is not None:
        reference.close()
    report(rows, results)


if __name__ == "__main__":
    main()
