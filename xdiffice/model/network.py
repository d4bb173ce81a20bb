"""A multilayer perceptron that carries its first and second derivatives forward.

Value, gradient and Hessian go through the layers together in one pass; nothing is differentiated
in reverse except the loss, once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import jax
import numpy as np

from xdiffice.model.layers import first_layer, last_layer, tanh_layer
from xdiffice.physics.jets import Jet

Layers = list[tuple[jax.Array, jax.Array]]


@dataclass(frozen=True)
class Network:
    """Shape of a perceptron from the plane to ``n_outputs`` fields.

    Parameters
    ----------
    n_outputs : int
        Number of fields.
    width, depth : int
        Units of a hidden layer, number of hidden layers.
    first_layer : {"sine", "tanh"}
        Activation of the first hidden layer; the others are tanh. Sine with random frequencies
        lets the network see detail that a tanh network learns late (spectral bias).
    frequency : float
        Largest scale of the sine layer's angular frequencies, radians per half extent. Unit by
        unit the standard deviation rises geometrically from a quarter of it, so that smooth and
        detailed fields are both within reach.
    features : int, optional
        Units of the first hidden layer, if not ``width``. Detail in the plane costs few
        parameters there, two weights and a bias per unit.
    """

    n_outputs: int
    width: int
    depth: int
    first_layer: Literal["sine", "tanh"] = "sine"
    frequency: float = field(default=4.0, compare=False)  # no part of what is compiled
    features: int | None = None

    @property
    def sizes(self) -> list[int]:
        """Units of all layers, from the two coordinates to the outputs."""
        features = self.width if self.features is None else self.features
        return [2, features, *[self.width] * (self.depth - 1), self.n_outputs]

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return sum((n_in + 1) * n_out for n_in, n_out in pairwise(self.sizes))

    def init(self, rng: np.random.Generator) -> np.ndarray:
        """Draw initial parameters, shape (n_parameters,).

        Glorot normal weights and zero biases; for a sine layer random frequencies and phases.
        """
        parts = []
        for number, (n_in, n_out) in enumerate(pairwise(self.sizes)):
            scale, bias = np.sqrt(2.0 / (n_in + n_out)), np.zeros(n_out)
            if number == 0 and self.first_layer == "sine":
                octaves = np.tile(np.linspace(-2.0, 0.0, n_out), n_in)
                scale, bias = self.frequency * 2.0**octaves, rng.uniform(-np.pi, np.pi, n_out)
            parts += [scale * rng.normal(size=n_in * n_out), bias]
        return np.concatenate(parts)

    def layers(self, theta: jax.Array) -> Layers:
        """Weights and biases as views of the vector of parameters."""
        layers, start = [], 0
        for n_in, n_out in pairwise(self.sizes):
            middle, end = start + n_in * n_out, start + (n_in + 1) * n_out
            layers.append((theta[start:middle].reshape(n_in, n_out), theta[middle:end]))
            start = end
        return layers

    def jets(self, theta: jax.Array, x: jax.Array, y: jax.Array, order: int) -> list[Jet]:
        """Evaluate all outputs at points.

        Parameters
        ----------
        theta : Array, shape (n_parameters,)
            Parameters, as from `init`.
        x, y : Array, shape (n,)
            Nondimensional positions.
        order : {0, 1, 2}
            Highest derivative carried along.

        Returns
        -------
        list of Jet
            One for each output; arrays of shape (n,).
        """
        (weight, bias), *hidden, (last_weight, last_bias) = self.layers(theta)
        streams = first_layer(self.first_layer, weight, bias, x, y, order)
        for weight, bias in hidden:
            streams = tanh_layer(weight, bias, streams)
        streams = last_layer(last_weight, last_bias, streams)
        return [Jet(*(stream[k] for stream in streams)) for k in range(self.n_outputs)]
