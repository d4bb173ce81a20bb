"""Where the ice shelves of Antarctica are, by name.

Points near the middle of each shelf, good to some tens of kilometres: they choose a shelf in a
mask, and the mask has its outline.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from xdiffice.errors import CoordinateError, ParameterError

# x and y in m, Antarctic polar stereographic (EPSG:3031), from latitudes and longitudes as
# gazetteers have them.
PLACES: dict[str, tuple[float, float]] = {
    "abbot": (-1878e3, -197e3),
    "amery": (2101e3, 724e3),
    "bach": (-1875e3, 609e3),
    "borchgrevink": (737e3, 2025e3),
    "brunt": (-677e3, 1419e3),
    "cook": (1088e3, -2091e3),
    "crosson": (-1550e3, -549e3),
    "dotson": (-1576e3, -650e3),
    "drygalski": (453e3, -1529e3),
    "ekstrom": (-290e3, 2062e3),
    "filchner": (-771e3, 918e3),
    "fimbul": (-7e3, 2083e3),
    "george vi": (-1854e3, 749e3),
    "getz": (-1410e3, -988e3),
    "jelbart": (-168e3, 2132e3),
    "larsen c": (-2196e3, 1143e3),
    "larsen d": (-1982e3, 1067e3),
    "lazarev": (570e3, 2165e3),
    "mertz": (1435e3, -2031e3),
    "moscow university": (2170e3, -1304e3),
    "nansen": (483e3, -1580e3),
    "nickerson": (-881e3, -1282e3),
    "nivl": (423e3, 2119e3),
    "pine island": (-1610e3, -307e3),
    "riiser larsen": (-539e3, 1819e3),
    "roi baudouin": (958e3, 1922e3),
    "ronne": (-1096e3, 608e3),
    "ross": (-81e3, -922e3),
    "shackleton": (2620e3, -438e3),
    "stange": (-1782e3, 428e3),
    "sulzberger": (-752e3, -1203e3),
    "thwaites": (-1561e3, -462e3),
    "totten": (2290e3, -1107e3),
    "venable": (-1853e3, 87e3),
    "west": (2556e3, 224e3),
    "wilkins": (-2072e3, 633e3),
}

WITHOUT_NAME = "without name= the largest floating part of the files is taken"

_PROJECTION = {
    "grid_mapping_name": "polar_stereographic",
    "standard_parallel": -71.0,
    "straight_vertical_longitude_from_pole": 0.0,
}


def place_of(name: str, mapping: Mapping[str, Any] | None) -> tuple[float, float]:
    """Return a point of a shelf.

    Parameters
    ----------
    name : str
        Such as ``"Larsen C"``; case, hyphens and the words "ice shelf" do not matter.
    mapping : mapping or None
        Attributes of the data's grid mapping; None where they have none.

    Returns
    -------
    tuple of float
        x and y, m.

    Raises
    ------
    ParameterError
        If the name is not known.
    CoordinateError
        If the data are not known to be in Antarctic polar stereographic coordinates.
    """
    known = re.sub(r"ice[\s_-]*(shelf|tongue)", "", name.lower().replace("ö", "o"))
    known = re.sub(r"[\s_-]+", " ", known).strip()
    if known not in PLACES:
        near = get_close_matches(known, PLACES, n=3) or sorted(PLACES)
        raise ParameterError(
            f"no ice shelf {name!r} is known; known are {', '.join(near)}. Give seed_point=(x, y) "
            "or a bbox instead"
        )
    stated = {key: value for key, value in (mapping or {}).items() if key in _PROJECTION}
    wrong = [
        f"{key} {value!r}" for key, value in stated.items() if not _is(value, _PROJECTION[key])
    ]
    if wrong or not stated:
        raise CoordinateError(
            f"name={name!r} needs data in Antarctic polar stereographic coordinates (EPSG:3031); "
            f"the velocity's grid mapping has {', '.join(wrong) or 'nothing that says so'}. Give "
            f"seed_point=(x, y) or a bbox; {WITHOUT_NAME}"
        )
    return PLACES[known]


def _is(value: object, wanted: object) -> bool:
    if isinstance(wanted, str):
        return value == wanted
    try:
        return abs(float(value) - float(wanted)) < 1e-6  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
