"""Times a step of DIFFICE_jax on request; started by `step.py` in an environment of its own.

    python step_reference.py FILE.mat WIDTH DEPTH N_VELOCITY N_THICKNESS N_INTERIOR N_FRONT

Everything is compiled first, then one line says what was found. After that every line of input,
``adam N`` or ``gradient N``, is answered by one line with the seconds per step, as JSON. So the
two programs can take turns, and a busy minute of the machine falls on both.
"""

import functools
import json
import platform
import sys
import time

import diffice_jax as diffice
import jax
import jax.numpy as jnp
import jaxlib
import optax
import scipy.io

EQUATION_AND_FRONT_WEIGHT = [0.05, 0.1]  # those of its examples

# Its optimiser makes a new `optax.adam` in every call, which is a new program to compile. With
# one object for all calls the first call is the warm-up, and a later one has only steps in it.
optax.adam = functools.cache(optax.adam)


class Reference:
    """A training of DIFFICE_jax, put together as in its examples."""

    def __init__(self, source, width, depth, n_points):
        keys = jax.random.split(jax.random.PRNGKey(0), 3)
        data = diffice.normdata_pinn(scipy.io.loadmat(source))
        self.key = keys[0]
        self.sample = diffice.dsample_pinn(data, jnp.array(n_points, dtype="int32"))
        self.batch = self.sample(keys[1])
        self.start = diffice.init_pinn(keys[2], depth, width)
        self.loss = diffice.loss_iso_pinn(
            diffice.solu_pinn(),
            (diffice.ssa_iso, diffice.dbc_iso),
            data[4][0:2],
            EQUATION_AND_FRONT_WEIGHT,
        )
        self.loss.lref = self.loss(self.start, self.batch)[0]
        self.value_and_gradient = jax.jit(jax.value_and_grad(self.loss, has_aux=True))

    def adam(self, steps):
        """Run its own loop; it may add steps, and its history says how many there were."""
        started = time.perf_counter()
        result = diffice.adam_opt(self.key, self.loss, self.start, self.sample, steps)
        _, history = jax.block_until_ready(result)
        return (time.perf_counter() - started) / len(history)

    def gradient(self, steps):
        """Evaluate its loss and gradient on one batch, without sampling or optimiser."""
        started = time.perf_counter()
        for _ in range(steps):
            jax.block_until_ready(self.value_and_gradient(self.start, self.batch))
        return (time.perf_counter() - started) / steps


def main():
    answers, sys.stdout = sys.stdout, sys.stderr  # what the library prints is no answer
    source, *numbers = sys.argv[1:]
    width, depth, *n_points = (int(number) for number in numbers)
    reference = Reference(source, width, depth, n_points)
    reference.adam(3)  # its loop takes a minimum over a fifth of the steps, of three at least
    reference.gradient(1)
    found = {
        "precision": str(reference.batch["smp"][0].dtype),
        "versions": f"jax {jax.__version__}, jaxlib {jaxlib.__version__}, "
        f"Python {platform.python_version()}",
    }
    print(json.dumps(found), file=answers, flush=True)
    for line in sys.stdin:
        what, steps = line.split()
        measure = {"adam": reference.adam, "gradient": reference.gradient}[what]
        print(json.dumps(measure(int(steps))), file=answers, flush=True)


if __name__ == "__main__":
    main()
