"""The outline of a shelf that a user draws: a polygon of any library.

It hands on its bounding box, and which positions lie inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xdiffice.errors import InputTypeError, MissingDependencyError
from xdiffice.observations.crop import Box


class Outline:
    """A polygon, or several, in the projection of the data, m.

    Parameters
    ----------
    geometry : object
        A shapely geometry, a geopandas object, anything with ``__geo_interface__``, such an
        interface itself, or corners as an array of shape (n, 2).

    Raises
    ------
    MissingDependencyError
        Without shapely.
    InputTypeError
        If it is nothing of these, or encloses no area.
    """

    def __init__(self, geometry: Any):
        try:
            import shapely
            from shapely.geometry import shape
        except ImportError as error:
            raise MissingDependencyError(
                "geometry= needs shapely: pip install 'xdiffice[geo]'"
            ) from error
        self._shapely = shapely
        try:
            if isinstance(geometry, shapely.Geometry):
                polygon = geometry
            elif hasattr(geometry, "__geo_interface__") or isinstance(geometry, dict):
                polygon = _merged(shapely, shape, geometry)
            else:
                polygon = shapely.Polygon(np.asarray(geometry, dtype=np.float64))
        except (
            TypeError,
            ValueError,
            AttributeError,
            KeyError,
            shapely.errors.ShapelyError,
        ) as error:
            raise _unusable(geometry) from error
        if polygon.is_empty or polygon.area == 0:
            raise _unusable(geometry)
        self._polygon = polygon
        shapely.prepare(polygon)

    @property
    def box(self) -> Box:
        """Bounding box, m."""
        return Box(*self._polygon.bounds)

    def contains(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Tell for each position (m) whether it lies inside."""
        return self._shapely.contains_xy(self._polygon, x, y)


def _merged(shapely: Any, shape: Any, geometry: Any) -> Any:
    """Return one geometry of an interface that may be a collection of features."""
    interface = geometry if isinstance(geometry, dict) else geometry.__geo_interface__
    if interface["type"] == "FeatureCollection":
        return shapely.union_all([shape(one["geometry"]) for one in interface["features"]])
    if interface["type"] == "Feature":
        return shape(interface["geometry"])
    return shape(interface)


def _unusable(geometry: Any) -> InputTypeError:
    return InputTypeError(
        "geometry must be a polygon: a shapely geometry, an object with __geo_interface__, or an "
        f"array of corners of shape (n, 2); got {type(geometry).__name__}"
    )
