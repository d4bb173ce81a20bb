"""What the networks and the start of the training are worth in the same time, as a table.

    python tests/benchmarks/networks.py
    python tests/benchmarks/networks.py data_pinns_LarsenC.mat --seconds 120 --held-out 5
    python tests/benchmarks/networks.py SynData_exp1.mat --seconds 45 --only defaults separate
    python tests/benchmarks/networks.py --set dtype=float32,width=24

Sizes are relative to those of `--set`, or to what is chosen automatically for the shelf.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest import mock

import jax
import numpy as np
from accuracy import misfits, parameters, percent
from shelves import hold_out, shelf_from
from step import handed_to_training

import xdiffice
from xdiffice import preparation
from xdiffice.choices import Choices
from xdiffice.model.network import Network
from xdiffice.results.comparison import relative_error

COLUMNS = (
    "variant", "parameters", "iterations", "viscosity", "x_velocity", "y_velocity", "thickness",
    "momentum", "front",
)  # fmt: skip


class FixedFeatures(Network):
    """Random Fourier features: the first layer stays as it was drawn."""

    def layers(self, theta):
        """Return the layers; no gradient reaches the first one."""
        first, *others = super().layers(theta)
        return [jax.lax.stop_gradient(first), *others]


class ScaledInputs(Network):
    """Plain tanh on positions that are multiplied by the frequency (Wang & Lai 2024)."""

    def init(self, rng):
        """Draw parameters; the first layer's weights have the factor in them."""
        theta = super().init(rng)
        theta[: 2 * self.sizes[1]] *= self.frequency
        return theta


@dataclass(frozen=True)
class Separate:
    """A network for each field, with two thirds of the width and half of the features."""

    parts: tuple[Network, ...]

    @property
    def n_outputs(self) -> int:
        return len(self.parts)

    @property
    def n_parameters(self) -> int:
        return sum(part.n_parameters for part in self.parts)

    def init(self, rng: np.random.Generator) -> np.ndarray:
        return np.concatenate([part.init(rng) for part in self.parts])

    def jets(self, theta, x, y, order: int):
        jets, start = [], 0
        for part in self.parts:
            jets += part.jets(theta[start : start + part.n_parameters], x, y, order)
            start += part.n_parameters
        return jets


def separate(n_outputs, width, depth, first_layer, frequency, features):
    """Make `Separate` for velocity and thickness, a plain network for the viscosity."""
    if n_outputs == 1:
        return Network(1, width, depth, first_layer, frequency, features)
    part = Network(1, 2 * width // 3, depth, first_layer, frequency, features // 2)
    return Separate((part,) * n_outputs)


def viscosity(width: float, features: float, frequency: float = 1.0) -> Callable:
    """Make networks of which that of the viscosity is so many times as large as by default."""

    def make(n_outputs, w, depth, first_layer, highest, f):
        if n_outputs == 1:
            w, highest, f = round(width * w), frequency * highest, round(features * f)
        return Network(n_outputs, w, depth, first_layer, highest, f)

    return make


def scaled(**factors: float) -> Callable[[Choices], dict]:
    """Parameters of the estimator that are so many times what is chosen by itself."""

    def sizes(choices: Choices) -> dict:
        found = {name: factor * getattr(choices, name) for name, factor in factors.items()}
        return {name: v if name == "frequency" else round(v) for name, v in found.items()}

    return sizes


@dataclass(frozen=True)
class Variant:
    """What is different: parameters of the estimator, how networks are made, the recipe."""

    parameters: Callable[[Choices], dict] = lambda _: {}
    network: Callable | None = None
    recipe: dict | None = None

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Replace what the estimator builds from."""
        with contextlib.ExitStack() as stack:
            if self.network is not None:
                stack.enter_context(mock.patch.object(preparation, "Network", self.network))
            if self.recipe is not None:
                recipe = functools.partial(preparation.Recipe, **self.recipe)
                stack.enter_context(mock.patch.object(preparation, "Recipe", recipe))
            yield


VARIANTS = {
    "defaults": Variant(),
    "two thirds of the width": Variant(scaled(width=2 / 3)),
    "4/3 of the width": Variant(scaled(width=4 / 3)),
    "half of the features": Variant(scaled(features=1 / 2)),
    "3/2 of the features": Variant(scaled(features=3 / 2)),
    "depth 3": Variant(lambda _: {"depth": 3}),
    "depth 6": Variant(lambda _: {"depth": 6}),
    "half of the frequency": Variant(scaled(frequency=1 / 2)),
    "twice the frequency": Variant(scaled(frequency=2.0)),
    "tanh first": Variant(lambda _: {"first_layer": "tanh"}),
    "tanh first, scaled inputs": Variant(lambda _: {"first_layer": "tanh"}, network=ScaledInputs),
    "fixed Fourier features": Variant(network=FixedFeatures),
    "fixed, twice the frequency": Variant(scaled(frequency=2.0), network=FixedFeatures),
    "separate networks for u, v, h": Variant(network=separate),
    "viscosity: half of the features": Variant(network=viscosity(1.0, 1 / 2)),
    "viscosity: as wide as the motion": Variant(network=viscosity(3 / 2, 1.0)),
    "viscosity: twice the features": Variant(network=viscosity(1.0, 2.0)),
    "viscosity: twice the frequency": Variant(network=viscosity(1.0, 1.0, frequency=2.0)),
    "viscosity: the motion's frequency": Variant(network=viscosity(1.0, 1.0, frequency=1 / 2)),
    "no warm start": Variant(recipe={"stage_iterations": 1}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held-out", type=float, metavar="KM", help="misfits in blocks left out")
    parser.add_argument("--only", nargs="+", default=[""], help="names that begin like this")
    parser.add_argument("--set", metavar="NAME=VALUE,...", default="", help="for every variant")
    arguments = parser.parse_args()
    name, shelf = shelf_from(arguments.file)
    remaining, held_out, mask = shelf, None, None
    if arguments.held_out:
        remaining, held_out, mask = hold_out(shelf, 1000 * arguments.held_out, seed=arguments.seed)
    truth = shelf.get("viscosity")
    for_all = parameters(arguments.set)
    sizes = handed_to_training(remaining, **for_all)[0].motion
    chosen = Choices(sizes.width, sizes.features, sizes.frequency, 0, 0, 0, 0)
    print(f"{platform.machine()}, {os.cpu_count()} cores, xdiffice {xdiffice.__version__}")
    print(f"{name}, {arguments.seconds:g} s, {arguments.set} defaults: {sizes}")
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + " --- |" * len(COLUMNS))
    for title, variant in VARIANTS.items():
        if not title.startswith(tuple(arguments.only)):
            continue
        common = {"max_seconds": arguments.seconds, "random_state": arguments.seed}
        common |= {"tolerance": 0.0, "progress": False, "adjoint_steps": 0}
        fitted = xdiffice.SSAViscosityInverter(**common | for_all | variant.parameters(chosen))
        with variant.applied():
            fitted.fit(remaining, mask=mask)
        error = "-"
        if truth is not None:
            found = fitted.predict(truth, variables=["viscosity"])["viscosity"]
            error = percent(relative_error(found, truth))
        data = misfits(fitted, held_out) if held_out else [*fitted.misfit_.values()]
        shares = [
            percent(share)
            for share in (*data, fitted.residual_["momentum"], fitted.residual_["front"])
        ]
        size = fitted.model_.theta.size
        cells = [title, size, fitted.n_iter_, error, *shares]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
