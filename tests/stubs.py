"""An estimator that is ready at once: doorways are tested without training."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import xarray as xr

from xdiffice.errors import ParameterError


class StubInverter:
    """Answers like `SSAViscosityInverter`, remembers how it was called, knows the viscosity."""

    made: ClassVar[list[StubInverter]] = []
    stop_reason: ClassVar[str] = "max_iterations"
    n_iter: ClassVar[int] = 7
    viscosity: ClassVar[float] = 2e14

    def __init__(
        self,
        rheology: str = "isotropic",
        subdomains: Any = 1,
        *,
        n_members: int = 1,
        max_seconds: float | None = None,
        max_iterations: int = 1000,
        random_state: int = 0,
        progress: bool = True,
        checkpoint: Any = None,
        variables: Any = None,
        units: Any = None,
    ):
        self.params = {key: value for key, value in locals().items() if key != "self"}
        type(self).made.append(self)

    def fit(
        self, velocity: xr.Dataset, thickness: Any = None, *, mask: Any = None, front: Any = None
    ):
        if self.params["max_iterations"] < 0:
            raise ParameterError("max_iterations must be positive,\ngot a negative number")
        self.data = {"velocity": velocity, "thickness": thickness, "mask": mask, "front": front}
        self.stop_reason_, self.n_iter_ = self.stop_reason, self.n_iter
        self.misfit_ = {"x_velocity": 0.01, "y_velocity": 0.02, "thickness": 0.03}
        self.residual_ = {"momentum": 0.04, "front": 0.05}
        self.jump_ = {"x_velocity": 0.0006} if self.params["subdomains"] != 1 else {}
        self.notes_ = ("speeds are high",)
        return self

    def predict(self, template: Any = None, **kwargs: Any) -> xr.Dataset:
        self.predicted = (template, kwargs)
        velocity = self.data["velocity"]
        dims, shape = velocity["x_velocity"].dims, velocity["x_velocity"].shape
        result = xr.Dataset(coords=velocity["x_velocity"].coords)
        result.attrs["stop_reason"] = self.stop_reason_
        for name, value, units in (
            ("viscosity", self.viscosity, "Pa s"),
            ("x_momentum_residual", 3.0, "Pa"),
            ("y_momentum_residual", -4.0, "Pa"),
        ):
            result[name] = (dims, np.full(shape, value), {"units": units})
        return result
