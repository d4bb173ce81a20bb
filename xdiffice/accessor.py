"""``ds.diffice``: what can be done with a Dataset of an ice shelf, where xarray users look for it.

A doorway without state: every method hands the Dataset on to a function or to the estimator.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

if TYPE_CHECKING:
    from .inverter import SSAViscosityInverter
    from .observations.report import Report
    from .pictures.plots import Plots
    from .results.overview import Overview


class DifficeAccessor:
    """Inversion and derived quantities of an ice shelf's Dataset.

    Parameters
    ----------
    dataset : xarray.Dataset
        Velocity and, for an inversion, thickness and calving front. It is never changed.

    Examples
    --------
    >>> import xarray as xr, xdiffice
    >>> ds = xdiffice.synthetic.confined_shelf()
    >>> out = ds.diffice.invert(max_seconds=60)  # doctest: +SKIP
    """

    def __init__(self, dataset: xr.Dataset):
        self._dataset = dataset

    def __repr__(self) -> str:
        return repr(self._shown())

    def _repr_html_(self) -> str:
        return self._shown()._repr_html_()

    def _shown(self) -> Report | Overview:
        from .results.overview import is_result, overview

        return overview(self._dataset) if is_result(self._dataset) else self.report()

    def report(
        self,
        thickness: Any = None,
        *,
        mask: Any = None,
        front: Any = None,
        variables: Mapping[str, str | None] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> Report:
        """Tell what was found: variables, units, grids, gaps, front, and what is missing.

        Parameters
        ----------
        thickness, mask, front : optional
            As in `fit`, where they are not in this Dataset.
        variables : mapping, optional
            Names by role where they cannot be found, ``{"thickness": "H"}``.
        units : mapping, optional
            Units by variable name where attributes lack them, ``{"vx": "m yr-1"}``.

        Returns
        -------
        Report
            Shown as text or HTML; it raises nothing for an unusable Dataset.
        """
        from .observations.report import report

        return report(
            self._dataset, thickness, mask=mask, front=front, variables=variables, units=units
        )

    def calving_front(self, mask: Any = None, **kwargs: Any) -> xr.Dataset:
        """Find the calving front of the floating ice in this Dataset.

        Parameters
        ----------
        mask : xarray.DataArray, xarray.Dataset or str, optional
            Floating ice, where it is not in this Dataset, or the name of a variable.
        **kwargs
            Keywords of `xdiffice.observations.coast.front_dataset`: ``spacing`` (m),
            ``floating_values``, ``ocean_values``, ``variables``, ``units``.

        Returns
        -------
        xarray.Dataset
            ``x_front``, ``y_front`` (m), ``x_normal``, ``y_normal`` on ``front``.
        """
        from .observations.coast import front_dataset

        return front_dataset(self._dataset, mask, **kwargs)

    def fit(
        self,
        thickness: Any = None,
        *,
        mask: Any = None,
        front: Any = None,
        **params: Any,
    ) -> SSAViscosityInverter:
        """Fit an `SSAViscosityInverter` to this Dataset.

        Parameters
        ----------
        thickness, mask : xarray.Dataset or xarray.DataArray, optional
            Where they are not in this Dataset; grids need not agree. A mask may also be the name
            of a variable.
        front : xarray.Dataset, optional
            Calving front: positions and outward normals.
        **params
            Parameters of `SSAViscosityInverter`, ``variables`` and ``units`` among them.

        Returns
        -------
        SSAViscosityInverter
            Fitted.

        Raises
        ------
        TypeError
            A parameter that the estimator does not have.
        XdifficeError
            All problems of the Dataset together.
        """
        from .inverter import SSAViscosityInverter

        return SSAViscosityInverter(**params).fit(self._dataset, thickness, mask=mask, front=front)

    def invert(
        self,
        thickness: Any = None,
        *,
        mask: Any = None,
        front: Any = None,
        **params: Any,
    ) -> xr.Dataset:
        """Infer the viscosity: `fit` and then predict on the velocity's grid.

        Parameters
        ----------
        thickness, mask : xarray.Dataset or xarray.DataArray, optional
            As in `fit`.
        front : xarray.Dataset, optional
            As in `fit`.
        **params
            Parameters of `SSAViscosityInverter`.

        Returns
        -------
        xarray.Dataset
            ``viscosity`` (Pa s), fitted velocity and thickness, effective strain rate, residuals.

        Raises
        ------
        TypeError, XdifficeError
            As in `fit`.
        """
        return self.fit(thickness, mask=mask, front=front, **params).predict()

    def predict(self, fitted: SSAViscosityInverter, **kwargs: Any) -> xr.Dataset:
        """Predict with a fitted estimator at the positions of this Dataset.

        Parameters
        ----------
        fitted : SSAViscosityInverter
            Fitted, to this Dataset or to another of the same shelf.
        **kwargs
            Keywords of `SSAViscosityInverter.predict`.

        Returns
        -------
        xarray.Dataset
            On this Dataset's coordinates, in their order.
        """
        return fitted.predict(self._dataset, **kwargs)

    def strain_rate(
        self,
        *,
        variables: Mapping[str, str | None] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> xr.Dataset:
        """Strain rates of the velocity raster by centred differences.

        Parameters
        ----------
        variables : mapping, optional
            Names by role where they cannot be found, ``{"x_velocity": "vx"}``.
        units : mapping, optional
            Units by variable name where attributes lack them, ``{"vx": "m yr-1"}``.

        Returns
        -------
        xarray.Dataset
            ``strain_rate_xx``, ``strain_rate_yy`` and ``strain_rate_xy``, s-1, on the velocity's
            dims; see `xdiffice.results.rheology.strain_rate`.

        Raises
        ------
        XdifficeError
            The velocity cannot be found or used; all problems together.
        """
        from .results.rheology import strain_rate

        return strain_rate(self._dataset, variables=variables, units=units)

    def effective_strain_rate(
        self,
        *,
        variables: Mapping[str, str | None] | None = None,
        units: Mapping[str, str] | None = None,
    ) -> xr.DataArray:
        """Effective strain rate of the velocity raster by centred differences.

        Parameters
        ----------
        variables : mapping, optional
            Names by role where they cannot be found, ``{"x_velocity": "vx"}``.
        units : mapping, optional
            Units by variable name where attributes lack them, ``{"vx": "m yr-1"}``.

        Returns
        -------
        xarray.DataArray
            ``effective_strain_rate``, s-1, on the velocity's dims; the formula is that of
            `xdiffice.results.rheology.effective_strain_rate`.

        Raises
        ------
        XdifficeError
            As in `strain_rate`.
        """
        from .results.rheology import effective_strain_rate

        return effective_strain_rate(self._dataset, variables=variables, units=units)

    def hardness(self, n: float = 3.0, **kwargs: Any) -> xr.DataArray:
        """Hardness B of Glen's law, of a result with viscosity and strain rate.

        Parameters
        ----------
        n : float
            Exponent of the flow law, at least 1.
        **kwargs
            Keywords of `xdiffice.results.flow_law.hardness`: ``viscosity``, the name of the
            variable.

        Returns
        -------
        xarray.DataArray
            ``hardness``, Pa, with the numbers of B in Pa s^(1/n).

        Raises
        ------
        VariableNotFoundError, UnitsError, ParameterError
            As in `xdiffice.results.flow_law.hardness`.
        """
        from .results.flow_law import hardness

        return hardness(self._dataset, n, **kwargs)

    def fluidity(self, n: float = 3.0, **kwargs: Any) -> xr.DataArray:
        """Fluidity A of Glen's law, of a result with viscosity and strain rate.

        Parameters
        ----------
        n : float
            Exponent of the flow law, at least 1.
        **kwargs
            Keywords of `xdiffice.results.flow_law.fluidity`: ``viscosity``, the name of the
            variable.

        Returns
        -------
        xarray.DataArray
            ``fluidity``, Pa-n s-1.

        Raises
        ------
        VariableNotFoundError, UnitsError, ParameterError
            As in `xdiffice.results.flow_law.fluidity`.
        """
        from .results.flow_law import fluidity

        return fluidity(self._dataset, n, **kwargs)

    def enhancement(self, temperature: Any, **kwargs: Any) -> xr.DataArray:
        """Fluidity over that of isotropic ice of a temperature, for n = 3.

        Parameters
        ----------
        temperature : float, or xarray.DataArray with units
            A depth average, K; an array in any unit of temperature.
        **kwargs
            Keywords of `xdiffice.results.flow_law.enhancement`: ``viscosity``, the name of the
            variable.

        Returns
        -------
        xarray.DataArray
            ``enhancement``, 1.

        Raises
        ------
        VariableNotFoundError, UnitsError, DataValuesError
            As in `xdiffice.results.flow_law.enhancement`.
        """
        from .results.flow_law import enhancement

        return enhancement(self._dataset, temperature, **kwargs)

    def flow_exponent(self, where: xr.DataArray | None = None, **kwargs: Any) -> xr.Dataset:
        """Fit the exponent n of the flow law over a region.

        Parameters
        ----------
        where : xarray.DataArray of bool, optional
            The region; everywhere if not given.
        **kwargs
            Keywords of `xdiffice.results.flow_law.flow_exponent`: ``degree``, ``confidence``,
            ``blocks``, ``random_state``, ``viscosity``.

        Returns
        -------
        xarray.Dataset
            ``exponent``, ``inverse_exponent``, and the interval of each on dim ``bound``.

        Raises
        ------
        VariableNotFoundError, UnitsError, ParameterError, DataValuesError
            As in `xdiffice.results.flow_law.flow_exponent`.
        """
        from .results.flow_law import flow_exponent

        return flow_exponent(self._dataset, where, **kwargs)

    def forward_check(self, result: xr.Dataset, **kwargs: Any) -> xr.Dataset:
        """Velocity that an inferred viscosity causes, by finite elements.

        This Dataset is what was observed.

        Parameters
        ----------
        result : xarray.Dataset
            Prediction on a grid: viscosities, Pa s, and ``thickness``.
        **kwargs
            Keywords of `xdiffice.forward_check.forward_check`: ``thickness``, ``mask``, ``front``,
            ``variables``, ``units``, ``mesh_size`` (m).

        Returns
        -------
        xarray.Dataset
            Velocities as modelled, and modelled minus observed, in the units of this Dataset.

        Raises
        ------
        XdifficeError
            As in `xdiffice.forward_check.forward_check`.
        """
        from .forward_check import forward_check

        return forward_check(self._dataset, result, **kwargs)

    def twin(self, viscosity: Any = None, **kwargs: Any) -> xr.Dataset:
        """Make this Dataset anew, as it would be if a viscosity were the true one.

        Parameters
        ----------
        viscosity : xarray.Dataset, xarray.DataArray, callable or float, optional
            Result of an inversion, or another viscosity, Pa s.
        **kwargs
            Keywords of `xdiffice.synthetic.twin`: ``hardness`` instead of a viscosity, ``noise``,
            ``random_state``, ``thickness``, ``mask``, ``front`` and others.

        Returns
        -------
        xarray.Dataset
            What `fit` takes, with the truth beside it.

        Raises
        ------
        XdifficeError
            As in `xdiffice.synthetic.twin`.
        """
        from .synthetic.twins import twin

        return twin(self._dataset, viscosity, **kwargs)

    @property
    def plot(self) -> Plots:
        """Pictures of a result of `invert`: ``plot.viscosity()``, ``plot.summary()`` and others.

        Returns
        -------
        Plots
            Its methods draw; called itself, it draws the summary.
        """
        from .pictures.plots import Plots

        return Plots(self._dataset)

    def to_html(
        self,
        path: str | os.PathLike[str] | None = None,
        observed: xr.Dataset | None = None,
        *,
        thickness: Any = None,
        front: Any = None,
        history: xr.Dataset | None = None,
    ) -> str | None:
        """Make one page for a browser of a result: maps, tables, provenance; a single file.

        Parameters
        ----------
        path : path-like, optional
            Where to write it; what is there is replaced when everything is written.
        observed : xarray.Dataset, optional
            What the result was inferred from, to be shown beside the fit with the misfit.
        thickness, front : optional
            As in `fit`, where they are not in `observed`.
        history : xarray.Dataset, optional
            ``history_`` of the fitted estimator, to be drawn.

        Returns
        -------
        str or None
            The page; None if it was written.

        Raises
        ------
        VariableNotFoundError
            Nothing to show.
        CoordinateError
            The Dataset has no usable coordinates.
        MissingDependencyError
            matplotlib is not installed.
        """
        from .pictures.observed import Observed
        from .pictures.web import web_page
        from .results.writing import write_whole

        data = None if observed is None else Observed(observed, thickness, front=front)
        text = web_page(self._dataset, data, history)
        if path is None:
            return text
        write_whole(Path(path), lambda beside: beside.write_text(text, encoding="utf-8"))
        return None


def _register() -> None:
    """Make ``ds.diffice``, also where this module is imported for the second time."""
    # xarray warns when an accessor replaces an attribute. It should, if the attribute is somebody
    # else's; a reload replaces only our own.
    existing = getattr(xr.Dataset, "diffice", None)
    if getattr(existing, "__module__", None) == __name__:
        delattr(xr.Dataset, "diffice")
    xr.register_dataset_accessor("diffice")(DifficeAccessor)


_register()
