"""The estimator: from a Dataset of velocity and thickness to a labelled viscosity.

`SSAViscosityInverter.fit` follows the data through the rooms of the package, top to bottom.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from xdiffice.checkpoint import Checkpoint, termination_as_interruption
from xdiffice.choices import Choices
from xdiffice.errors import ParameterError, warn
from xdiffice.inversion import Inversion
from xdiffice.markup import table
from xdiffice.model.precision import Precision
from xdiffice.observations.gather import gather
from xdiffice.parameters import check_parameters
from xdiffice.physics.rheology import Rheology
from xdiffice.results.diagnostics import (
    imbalance,
    jumps,
    misfit,
    relative_residuals,
    shortest_wavelength,
    strain_rate_error,
    variance_explained,
)
from xdiffice.results.evaluate import FittedModel
from xdiffice.results.labels import label, resolve_template
from xdiffice.results.names import SPREAD
from xdiffice.results.outcome import doubt, outcome, outcome_rows
from xdiffice.results.predictions import Predictor
from xdiffice.results.quality import conditions
from xdiffice.results.template import Chunks
from xdiffice.training.budget import Budget
from xdiffice.training.history import Recorder
from xdiffice.uncertainty.quantiles import check_quantiles, with_quantiles

DEFAULT_ITERATIONS = 3000  # where no limit is given


class SSAViscosityInverter(BaseEstimator):
    """Infer the viscosity of an ice shelf from its velocity and thickness.

    Two neural networks, one for velocity and thickness and one for the logarithm of viscosity,
    are trained on the data and on the shallow-shelf equations together (DIFFICE: Wang & Lai 2025,
    doi 10.21105/joss.07254; Wang et al. 2025, doi 10.1126/science.adp3300):

        div(h T) = ρ g' h ∇h in the shelf,   T n = ½ ρ g' h n at its calving front,
        T = 2 μ (ε + tr(ε) I).

    The fields that come out are then corrected until a forward model with them moves the ice as
    observed, see Notes.

    Parameters
    ----------
    rheology : {"isotropic", "anisotropic", "glen"} or Rheology
        What stress a strain rate causes. ``"anisotropic"`` ice has two viscosities, of which the
        most isotropic pair is returned that explains the flow. ``"glen"`` is ``Glen(n=3)``: the
        network learns the hardness, and the viscosity follows the strain rate. Others inherit from
        `xdiffice.Rheology`.
    subdomains : int, "auto", DataArray or Partition
        Regions with networks of their own: how many, of about equal area; as many as the detail of
        the data asks for; or labels, whole numbers on a raster of any grid, NaN or negative where
        there is none. Networks of neighbours agree where they meet (XPINN: Jagtap & Karniadakis
        2020, doi 10.4208/cicp.OA-2020-0164) and are blended there.
    n_members : int
        Networks that are trained side by side and tell how far the data determine the viscosity.
        Each has initial parameters and samples of its own, and data with other noise where noise is
        known: from errors, or by its scatter. `predict` returns their mean, and by which factor
        they differ.
    max_seconds : float, optional
        Wall time of `fit`, compilation included; up to 30 % of it, less on small meshes, are kept
        for the last stage, or trained on where that has nothing to do. Without it only
        ``max_iterations`` counts, and the same ``random_state`` gives the same bits on the same
        machine.
    max_iterations : int, optional
        Quasi-Newton iterations of the networks, all stages together. What comes first ends the
        training; with neither it is after 3000 iterations.
    tolerance : float
        Stop when the loss on fresh samples has not fallen by this share over ten samples; where
        there are regions, over forty, which are a quarter as long.
    random_state : int, numpy.random.RandomState or None
        Seed of initial parameters and samples.
    adjoint_steps : int
        Gauss-Newton steps of the last stage, which corrects viscosity and thickness, on each of two
        meshes, at most; see Notes. With 0 there is no such stage.
    warm_start : bool
        Whether `fit` starts from the fit before, of the same shelf at another time: with its
        regions, scales and sizes of networks, and without the first stages of the training.
    progress : bool
        Whether to show a progress bar with the terms of the loss.
    checkpoint : path, optional
        netCDF file in which the state of the third stage is kept. If it is there, `fit` goes on
        with it, and ends where an undisturbed one would have ended, bit for bit where iterations
        are counted; ``max_seconds`` counts what was spent before. With a larger
        ``max_iterations`` a training that has ended goes on.
    checkpoint_seconds : float
        Time between two checkpoints; more where writing takes more than a twentieth of it.
    width, depth : int
        Units of a hidden layer, and number of hidden layers, of the network for velocity and
        thickness; that of the viscosity has two thirds of the width. This and what is None below
        is chosen by the detail of the data, see `choices_`.
    first_layer : {"sine", "tanh"}
        Activation of the first hidden layer.
    frequency : float, optional
        Largest scale of the sine layer's angular frequencies, radians per half length of the
        shelf; the units' standard deviations rise to it from a quarter. Twice that for the
        viscosity. Higher resolves finer detail, and noise.
    features : int, optional
        Units of the first hidden layer.
    n_velocity, n_thickness : int, optional
        Data in a sample. Where there are more, noisy data are replaced by means over slightly more
        blocks than that.
    n_interior, n_front : int, optional
        Points in a sample at which the momentum balance and the front's condition are asked for.
    sampling : {"uniform", "residual"}
        How data and these points are drawn in the third stage: all as likely, or with more weight
        where misfits and residuals are large (Wu et al. 2023, doi 10.1016/j.cma.2022.115671).
    resample_every : int
        Iterations between two samples; a quarter as many where there are regions.
    dtype : {"float64", "float32"}
        Of the training; matrix products have the full precision of the type, never TF32.
        Predictions are made in float64.
    velocity_weight, thickness_weight, momentum_weight, front_weight : float
        Weights of the mean squares in the loss. Misfits are in units of two standard deviations
        of the data, and count less the noisier these are; residuals are in units of `scales_`.
        Momentum and front get up to 301 times this where velocity is noisy, and more where they do
        not hold to 4.5 % of the driving stress and 4.7 % of the stress at the front. The third
        stage begins with 1/32 of the momentum.
    roughness_weight : float
        Weight of the mean squared gradient of log viscosity, per half length of the shelf. It
        counts only where velocity is noisy, and where it is all noise counts in full, for members
        of an ensemble a tenth. While the third stage settles, up to 1e-5 counts in any case.
    penalty_weight : float
        Weight of what a rheology prefers among fields that the equations cannot tell apart: of
        the mean of (log μ_h - log μ_v)² where ice is anisotropic. In the third stage it falls to
        this from a thousand times as much over 20 samples. Grows with noise as momentum's does.
    interface_weight : float
        Weight of the mean squared jumps of velocity and thickness where regions meet, in units of
        misfits; those of slopes, log viscosity and forces count less.
    ice_density, sea_water_density, gravity : float
        kg m-3, kg m-3, m s-2. Viscosity is proportional to ρ g (1 - ρ/ρ_w).
    variables : mapping of str to str, optional
        Role to variable name, for what is not found by itself: ``{"thickness": "h"}``.
    units : mapping of str to str, optional
        Variable name or role to units, for variables without the attribute.

    Attributes
    ----------
    model_ : FittedModel
        Networks, parameters and scales.
    scales_ : Scales
        Units of the shelf; those of its regions are in ``model_.region_scales``.
    choices_ : Choices
        Sizes of networks and samples that were used: what was given, and for the rest what the
        detail of the data asks for.
    history_ : xarray.Dataset
        Loss, its terms and their weights on every fresh sample, on dim ``sample``; with regions,
        which of them it was, NaN for the whole shelf. Rows of the stage ``adjoint`` are
        Gauss-Newton steps: ``modelled_velocity`` is the squared relative misfit of the modelled
        velocity, ``velocity_noise`` what noise makes of it.
    n_iter_ : int
        Quasi-Newton iterations done; with regions, by each of them.
    stop_reason_ : str
        ``max_seconds``, ``max_iterations``, ``tolerance``, ``line_search``, ``not_finite`` or
        ``interrupted``.
    misfit_ : dict of str to float
        Relative L2 misfit of ``x_velocity``, ``y_velocity``, ``thickness`` over all data.
    residual_ : dict of str to float
        ``velocity``: by how much a forward model with this viscosity and thickness misses the
        observed velocity (relative L2), where the last stage could model the shelf. ``momentum``
        and ``front``: root mean squares of what the networks, before the correction, leave over of
        these equations at points, over those of the driving stress and of the front's stress.
    noise_ : dict of str to float
        Noise of the data over their root mean square: of ``velocity``, beside which its residual
        stands. Empty without a last stage.
    jump_ : dict of str to float
        Rms of what the networks of neighbouring regions differ by where these meet, over the range
        of the field: of ``x_velocity``, ``y_velocity``, ``thickness`` and ``log_viscosity`` (the
        logarithms of the rheology's fields). Empty with one region; predictions have no jumps.
    notes_ : tuple of str
        What was noticed while the Dataset was read, and why a shelf could not be modelled.

    Notes
    -----
    What networks leave over of the equations at points says little of the velocity that their
    viscosity causes. The last stage solves for that velocity, by quadratic finite elements on the
    shelf's own mesh, and where it is not the observed one, within noise and 0.5 % of the speed,
    corrects the logarithms of thickness and of every field of the rheology by bicubic splines
    (control method: MacAyeal 1993, doi 10.3189/S0022143000017744). Gauss-Newton steps, first on a
    coarse mesh, lower the misfit of the velocity, in which outliers count less, plus a prior: the
    hardness of Glen's law with n = 3 varies smoothly, so that viscosity follows the strain rate,
    and thickness moves by a share of its error. Members of an ensemble get samples of what data and
    prior leave possible (randomised maximum a posteriori: Bardsley et al. 2014,
    doi 10.1137/140964023). What `predict` returns is continuous, with two derivatives.

    Where nothing holds a shelf, or it is made of points, the viscosity is that of the networks, and
    `notes_` says so.

    Examples
    --------
    >>> import xdiffice
    >>> shelf = xdiffice.synthetic.confined_shelf(shape=(20, 30))
    >>> inverter = xdiffice.SSAViscosityInverter(max_iterations=20, progress=False)
    >>> inverter.fit(shelf).predict()["viscosity"].attrs["units"]
    'Pa s'
    """

    def __init__(
        self,
        rheology: str | Rheology = "isotropic",
        subdomains: Any = 1,
        *,
        n_members: int = 1,
        max_seconds: float | None = None,
        max_iterations: int | None = None,
        tolerance: float = 0.02,
        random_state: Any = 0,
        adjoint_steps: int = 12,
        warm_start: bool = False,
        progress: bool = True,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_seconds: float = 60.0,
        width: int | None = None,
        depth: int = 4,
        first_layer: Literal["sine", "tanh"] = "sine",
        frequency: float | None = None,
        features: int | None = None,
        n_velocity: int | None = None,
        n_thickness: int | None = None,
        n_interior: int | None = None,
        n_front: int | None = None,
        sampling: Literal["uniform", "residual"] = "uniform",
        resample_every: int = 100,
        dtype: Precision = "float64",
        velocity_weight: float = 1.0,
        thickness_weight: float = 0.4,
        momentum_weight: float = 0.001,
        front_weight: float = 0.00005,
        roughness_weight: float = 3e-6,
        penalty_weight: float = 1e-7,
        interface_weight: float = 1.0,
        ice_density: float = 917.0,
        sea_water_density: float = 1030.0,
        gravity: float = 9.8,
        variables: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None,
    ):
        self.rheology = rheology
        self.subdomains = subdomains
        self.n_members = n_members
        self.max_seconds = max_seconds
        self.max_iterations = max_iterations
        self.tolerance = tolerance
        self.random_state = random_state
        self.adjoint_steps = adjoint_steps
        self.warm_start = warm_start
        self.progress = progress
        self.checkpoint = checkpoint
        self.checkpoint_seconds = checkpoint_seconds
        self.width = width
        self.depth = depth
        self.first_layer = first_layer
        self.frequency = frequency
        self.features = features
        self.n_velocity = n_velocity
        self.n_thickness = n_thickness
        self.n_interior = n_interior
        self.n_front = n_front
        self.sampling = sampling
        self.resample_every = resample_every
        self.dtype = dtype
        self.velocity_weight = velocity_weight
        self.thickness_weight = thickness_weight
        self.momentum_weight = momentum_weight
        self.front_weight = front_weight
        self.roughness_weight = roughness_weight
        self.penalty_weight = penalty_weight
        self.interface_weight = interface_weight
        self.ice_density = ice_density
        self.sea_water_density = sea_water_density
        self.gravity = gravity
        self.variables = variables
        self.units = units

    def fit(
        self, velocity: xr.Dataset, thickness: Any = None, *, mask: Any = None, front: Any = None
    ) -> SSAViscosityInverter:
        """Infer the viscosity of one shelf.

        Parameters
        ----------
        velocity : Dataset
            Velocity, and by default thickness, mask and calving front as well; dask-backed or in
            memory. It is not changed.
        thickness : Dataset, DataArray or DataFrame, or a list of them, optional
            Thickness from elsewhere: another grid, flight lines, or both.
        mask : DataArray, Dataset or str, optional
            Where the floating ice is.
        front : Dataset, optional
            Positions and outward unit normals of the calving front.

        Returns
        -------
        SSAViscosityInverter
            This estimator, fitted.

        Raises
        ------
        ParameterError
            A constructor parameter has a value that it cannot have.
        FileFormatError
            There is a file with the name of the checkpoint that is none.
        XdifficeError
            The data cannot be used; see `xdiffice.observations.gather.gather`.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            A forward model with this viscosity misses the observed velocity by more than its noise
            and 3 %; where there is none, the momentum balance is off by more than a tenth of the
            driving stress. Or the training was interrupted.
        """
        check_parameters(self)
        budget = self._budget()
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        observations = gather(
            velocity,
            thickness,
            mask=mask,
            front=front,
            variables=self.variables,
            units=self.units,
        )
        earlier = (self.model_, self.choices_) if self.warm_start and self._is_fitted() else None
        inversion = Inversion(self, observations, earlier)
        known_end = budget.max_iterations if self.max_seconds is None else self.max_iterations
        recorder = Recorder(progress=self.progress, total=known_end)
        checkpoint = None
        if self.checkpoint is not None:
            checkpoint = Checkpoint(self.checkpoint, self.checkpoint_seconds)
        try:
            with termination_as_interruption():
                fitted, self.stop_reason_ = inversion.train(budget, recorder, rng, checkpoint)
        finally:
            recorder.close()
        self.choices_: Choices = inversion.choices
        self.history_ = recorder.to_dataset()
        self.n_iter_ = budget.iterations
        self.misfit_ = misfit(fitted, observations)
        error = strain_rate_error(fitted, observations, self.misfit_)
        self.model_: FittedModel = replace(fitted, strain_rate_error=error)
        self.scales_ = fitted.scales
        # Finite elements balance forces over a triangle, not at a point.
        networks = replace(self.model_, correction=None)
        unbalanced = imbalance(networks, observations)
        self.residual_ = relative_residuals(networks, observations, unbalanced)
        if inversion.misfit_of_modelled is not None:
            self.residual_["velocity"] = inversion.misfit_of_modelled
        self.noise_ = {} if inversion.noise is None else {"velocity": inversion.noise}
        self.jump_ = jumps(self.model_, observations)
        self.notes_ = observations.notes + inversion.notes
        self._labels, self._domain = observations.labels, observations.domain
        self._conditions = conditions(observations, unbalanced, shortest_wavelength(self.model_))
        if sentence := doubt(outcome(self)):
            warn(sentence, ConvergenceWarning)
        if self.stop_reason_ == "interrupted":
            kept = f"the training was interrupted after {self.n_iter_} iterations; the best is kept"
            warn(kept, ConvergenceWarning)
        return self

    def predict(
        self,
        template: Any = None,
        *,
        variables: Sequence[str] | None = None,
        quantiles: Sequence[float] | None = None,
        extrapolate: bool = False,
        chunks: Chunks | None = None,
    ) -> xr.Dataset:
        """Evaluate viscosity and the fitted fields.

        Parameters
        ----------
        template : Dataset, DataArray or mapping, optional
            Grid or points, by their coordinates; the velocity's own grid if not given. If it is
            dask-backed, the result is, in the same chunks.
        variables : sequence of str, optional
            Names of what is wanted; everything if not given. Less is faster: only residuals need
            second derivatives.
        quantiles : sequence of float, optional
            Of an ensemble: adds ``viscosity_std`` and ``viscosity_quantile``, and the same of what
            else the rheology has and was asked for, on a dim ``quantile``; ``(0.05, 0.95)`` are the
            ends of the 90 % interval.
        extrapolate : bool
            Also outside the shelf, where values are NaN otherwise.
        chunks : int, "auto", tuple or mapping, optional
            Sizes of blocks, as `xarray.Dataset.chunk` takes them. The result is then computed block
            by block when it is needed (``to_zarr``, ``to_netcdf``, ``compute``), by dask.

        Returns
        -------
        Dataset
            On the template's dims and coordinates, in their order: ``viscosity`` (Pa s) and
            what else the rheology has, of an ensemble each with its geometric standard deviation,
            ``viscosity_std``, a factor; ``x_velocity``, ``y_velocity`` and ``thickness`` as fitted,
            in the units of the data; ``effective_strain_rate`` (s-1); ``x_momentum_residual``,
            ``y_momentum_residual`` (Pa), of the corrected fields. Attributes tell how it was made
            and how the training ended: ``estimator``, ``stop_reason``, ``misfit_x_velocity``,
            ``residual_velocity`` (what a forward model with this viscosity misses the velocity by),
            ``noise_velocity`` and others.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        ParameterError
            An unknown variable; chunks that do not fit; quantiles without an ensemble.
        CoordinateError
            A template without usable coordinates.
        """
        check_is_fitted(self, "model_")
        names, n_members = self._wanted(variables), self.model_.n_members
        asked = None if quantiles is None else check_quantiles(quantiles, n_members)
        if asked is not None:
            spreads = (name + SPREAD for name in names)
            names = (*names, *(s for s in spreads if s in self.model_.variables and s not in names))
        target = resolve_template(template, self._labels, chunks)
        predictor = Predictor(self.model_, self._domain, self._conditions, names, extrapolate)
        result = label(
            predictor.on(target),
            target,
            self._labels,
            constants=self.model_.scales.constants,
            provenance=repr(self),
            quantities=self.model_.model.rheology.quantities,
            outcome=outcome(self),
        )
        return result if asked is None else with_quantiles(result, asked, n_members)

    def score(
        self, velocity: xr.Dataset, thickness: Any = None, *, mask: Any = None, front: Any = None
    ) -> float:
        """Coefficient of determination R² of u, v and h, the mean of those that vary.

        Parameters
        ----------
        velocity : Dataset
            As in `fit`; the data may be others than those of the fit, such as held-out pixels.
        thickness : Dataset, DataArray or DataFrame, or a list of them, optional
            As in `fit`.
        mask : DataArray, Dataset or str, optional
            As in `fit`.
        front : Dataset, optional
            As in `fit`.

        Returns
        -------
        float
            1 for a perfect fit, 0 for one no better than the mean of the data.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        XdifficeError
            The data cannot be used.
        """
        check_is_fitted(self, "model_")
        observations = gather(
            velocity,
            thickness,
            mask=mask,
            front=front,
            variables=self.variables,
            units=self.units,
        )
        scores = variance_explained(self.model_, observations)
        return float(np.mean([*scores.values()] or np.nan))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write this fitted estimator to a file, from which `xdiffice.load` makes it again.

        The file holds arrays and text: parameters, networks, scales, regions, the history of the
        training and the versions of packages. No data, no code, no pickle.

        Parameters
        ----------
        path : str or path-like
            netCDF, or Zarr if the name ends in ``.zarr``. What is there is replaced when
            everything is written, not before.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        ParameterError
            The data had coordinates or attributes that no file can hold, such as Python objects.
        """
        from xdiffice.storage import save

        check_is_fitted(self, "model_")
        save(self, path)

    def _budget(self) -> Budget:
        iterations = self.max_iterations
        if iterations is None:
            iterations = DEFAULT_ITERATIONS if self.max_seconds is None else sys.maxsize
        return Budget(self.max_seconds, iterations)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """Show in notebooks what scikit-learn shows, and how the training ended."""
        bundle: dict[str, str] = super()._repr_mimebundle_(**kwargs)
        if self._is_fitted() and "text/html" in bundle:
            bundle["text/html"] += table(outcome_rows(outcome(self)))
        return bundle

    def _is_fitted(self) -> bool:
        return hasattr(self, "model_")

    def _wanted(self, variables: Sequence[str] | None) -> tuple[str, ...]:
        known = self.model_.variables
        if variables is None:
            return known
        names = (variables,) if isinstance(variables, str) else tuple(variables)
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise ParameterError(
                f"variables={list(names)}: unknown are {unknown}; choose from {', '.join(known)}"
            )
        return names
