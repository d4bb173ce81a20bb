"""The flag says where a share of the pair may be replaced by ice without horizontal viscosity."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from analytic_fields import jet

from xdiffice.model.precision import double_precision
from xdiffice.physics.jets import Jet
from xdiffice.physics.ssa import momentum_residual, resistive_stress
from xdiffice.results.names import Quality
from xdiffice.results.quality import BUTTRESSING, quality

X, Y = np.random.default_rng(0).uniform(-0.9, 0.9, (2, 40))


def h(x, y):
    return 1 + 0.2 * jnp.sin(x)


FREE = {  # stretches along x, is held by nothing: T_xx = h / 2 everywhere
    "u": lambda x, y: 2 * x + 0.3 * x**2,
    "v": lambda x, y: 0.7 * y,
    "horizontal": lambda x, y: h(x, y) / (4 * (2 * (2 + 0.6 * x) + 0.7)),
}
HELD = {  # stiffer than the sea asks for, and sheared
    "u": lambda x, y: 2 * x + 0.4 * jnp.sin(y),
    "v": lambda x, y: 0.5 * y + 0.2 * jnp.sin(x),
    "horizontal": lambda x, y: 0.02 + 0.003 * jnp.sin(x + y),
}


def shelf(fields, share):
    """Jets of a flow with (1 - s) (μ, μ) + s (0, h / (4 tr ε))."""

    def trivial(x, y):
        u, v = (jet(fields[name], x, y, 2) for name in ("u", "v"))
        return h(x, y) / (4 * (u.x + v.y))

    def horizontal(x, y):
        return (1 - share(x, y)) * fields["horizontal"](x, y)

    def vertical(x, y):
        return horizontal(x, y) + share(x, y) * trivial(x, y)

    with double_precision():
        jets = [jet(f, X, Y, 2) for f in (fields["u"], fields["v"], h, horizontal, vertical)]
    return [Jet(*map(np.asarray, one)) for one in jets]


def nothing(x, y):
    return 0 * x


@pytest.mark.parametrize("separate", [True, False])
def test_ice_that_nothing_holds_back(separate):
    def share(x, y):
        return 0.3 + 0.2 * jnp.sin(3 * x)

    plain, moved = shelf(FREE, nothing), shelf(FREE, share)
    np.testing.assert_allclose(
        momentum_residual(*moved), momentum_residual(*plain), atol=1e-12
    )  # any share that varies along x
    assert np.abs(moved[3].value / plain[3].value - 1).max() > 0.3
    u, v, thickness, mu_h, mu_v = plain
    flags = quality(u, v, thickness.value, mu_h.value, mu_v.value, 0.0, separate)
    expected = Quality.NOT_SEPARATED if separate else Quality.DETERMINED
    np.testing.assert_array_equal(flags, expected)


def test_ice_that_is_held_back():
    def share(x, y):
        return 0.1 * x + 0.2 * y

    plain, moved = shelf(HELD, nothing), shelf(HELD, share)
    change = np.subtract(momentum_residual(*moved), momentum_residual(*plain))
    # (1 - s) of the residual stays, and (h / 2 - T) h grad s is added.
    change = change + (0.1 * X + 0.2 * Y) * np.array(momentum_residual(*plain))
    u, v, thickness, mu_h, mu_v = plain
    t_xx, t_xy, t_yy = resistive_stress(u, v, mu_h.value, mu_v.value)
    free = 0.5 * thickness.value
    expected = thickness.value * np.array([
        (free - t_xx) * 0.1 - t_xy * 0.2, (free - t_yy) * 0.2 - t_xy * 0.1
    ])  # fmt: skip
    np.testing.assert_allclose(change, expected, atol=1e-12)
    flags = quality(u, v, thickness.value, mu_h.value, mu_v.value, 0.0, separate=True)
    np.testing.assert_array_equal(flags, Quality.DETERMINED)
    # By principal axes: the eigenvalues of h / 2 - T.
    stress = np.array([[t_xx, t_xy], [t_xy, t_yy]]).transpose(2, 0, 1)
    buttressing = 1 - np.linalg.eigvalsh(stress) / free[:, None]
    assert np.abs(buttressing).min() > BUTTRESSING


def test_ice_that_hardly_deforms():
    u, v, thickness, mu_h, mu_v = shelf(HELD, nothing)
    rate = np.sqrt(u.x**2 + v.y**2 + u.x * v.y + 0.25 * (u.y + v.x) ** 2)
    limit = np.median(rate)
    flags = quality(u, v, thickness.value, mu_h.value, mu_v.value, limit, separate=True)
    np.testing.assert_array_equal(flags == Quality.NO_STRAIN, rate <= limit)
