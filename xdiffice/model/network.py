"""A multilayer perceptron that carries its first and second derivatives forward.

Value, gradient and Hessian go through the layers together in one pass; nothing is differentiated
in reverse except the loss, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from xdiffice.physics.jets import Jet

Layers = list[tuple[jax.Array, jax.Array]]
Streams = list[jax.Array]  # value; with order 1 also x, y; with order 2 also xx, xy, yy


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
    """

    n_outputs: int
    width: int
    depth: int
    first_layer: Literal["sine", "tanh"] = "sine"
    frequency: float = 4.0

    @property
    def sizes(self) -> list[int]:
        """Units of all layers, from the two coordinates to the outputs."""
        return [2, *[self.width] * self.depth, self.n_outputs]

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
        first = _sine if self.first_layer == "sine" else _tanh
        (weight, bias), *hidden, (last_weight, last_bias) = self.layers(theta)
        streams = _first_layer(first, weight, bias, x, y, order)
        for weight, bias in hidden:
            streams = _activate(_tanh, _affine(streams, weight, bias), order)
        streams = _affine(streams, last_weight, last_bias)
        return [Jet(*(stream[:, k] for stream in streams)) for k in range(self.n_outputs)]


def _affine(streams: Streams, weight: jax.Array, bias: jax.Array) -> Streams:
    """Multiply all streams by the weight; the bias moves the value only.

    One product for each: stacked into one array they would have to be copied twice per layer,
    which costs more than the larger product saves.
    """
    value, *derivatives = (stream @ weight for stream in streams)
    return [value + bias, *derivatives]


def _tanh(z: jax.Array, order: int) -> tuple[jax.Array, ...]:
    value = jnp.tanh(z)
    first = 1 - value * value
    return (value, first, -2 * value * first)[: order + 1]


def _sine(z: jax.Array, order: int) -> tuple[jax.Array, ...]:
    value = jnp.sin(z)
    return (value, jnp.cos(z), -value)[: order + 1]


def _first_layer(activation, weight, bias, x, y, order: int) -> Streams:
    """First hidden layer: its argument is linear in x and y, so no product carries streams."""
    w_x, w_y = weight
    value, *slopes = activation(x[:, None] * w_x + y[:, None] * w_y + bias, order)
    streams = [value]
    if order >= 1:
        streams += [slopes[0] * w_x, slopes[0] * w_y]
    if order >= 2:
        streams += [slopes[1] * (w_x * w_x), slopes[1] * (w_x * w_y), slopes[1] * (w_y * w_y)]
    return streams


def _activate(activation, streams: Streams, order: int) -> Streams:
    """Chain rule of an activation up to second order, for all streams."""
    z, *z_derivatives = streams
    value, *slopes = activation(z, order)
    out = [value]
    if order >= 1:
        z_x, z_y = z_derivatives[:2]
        out += [slopes[0] * z_x, slopes[0] * z_y]
    if order >= 2:
        z_xx, z_xy, z_yy = z_derivatives[2:]
        out += [
            slopes[0] * z_xx + slopes[1] * (z_x * z_x),
            slopes[0] * z_xy + slopes[1] * (z_x * z_y),
            slopes[0] * z_yy + slopes[1] * (z_y * z_y),
        ]
    return out
