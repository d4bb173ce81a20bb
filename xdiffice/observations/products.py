"""What the documentation of a product says and its files do not.

A table, one row for each product, and the one function that writes a row's facts into the
attributes of a Dataset, where the rest of the reading looks for them. Most products need no more
than a name: their attributes, or the names of their variables, are understood by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import xarray as xr


@dataclass(frozen=True)
class Product:
    """One product.

    Parameters
    ----------
    name : str
        For reports.
    variables : tuple of str
        A Dataset that has all of these is this product.
    flags : mapping
        By variable: values and meanings of a mask that has none.
    missing : mapping
        By variable: the flag that a missing value means.
    thickness : str
        ``"ice_equivalent"`` (without the air in the firn), ``"total"``, or empty.
    source : str
        Where these facts are written.
    """

    name: str
    variables: tuple[str, ...]
    flags: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)
    thickness: str = ""
    source: str = ""


_BEDMAP3_FLAGS = {
    0: "ocean",
    1: "grounded_ice",
    2: "transiently_grounded_ice_shelf",
    3: "floating_ice_shelf",
    4: "rock",
}

PRODUCTS: tuple[Product, ...] = (
    Product(
        "MEaSUREs phase-based velocity (NSIDC-0754)",
        ("VX", "VY", "ERRX", "ERRY", "SOURCE"),
        source="doi 10.5067/PZ3NJ5RXRH10",
    ),
    Product(
        "MEaSUREs InSAR-based velocity (NSIDC-0484)",
        ("VX", "VY", "ERRX", "ERRY", "STDX", "STDY"),
        source="doi 10.5067/D7GK8F5J8M8R",
    ),
    Product("MEaSUREs multi-year velocity (NSIDC-0761)", ("VX", "VY", "MASK")),
    Product("ITS_LIVE velocity mosaic", ("vx", "vy", "v")),
    Product(
        "BedMachine Antarctica",
        ("mask", "thickness", "surface", "bed", "errbed", "firn"),
        thickness="ice_equivalent",
        source="doi 10.1038/s41561-019-0510-8",
    ),
    Product(
        "Bedmap3",
        ("ice_thickness", "surface_topography", "bed_topography", "mask"),
        flags={"mask": _BEDMAP3_FLAGS},
        missing={"mask": 0},
        thickness="total",
        source="doi 10.1038/s41597-025-04672-y",
    ),
    Product("ISMIP6 model output", ("lithk", "xvelmean", "yvelmean")),
)


def product_of(dataset: xr.Dataset) -> Product | None:
    """Return the product that a Dataset is from, by the names of its variables."""
    for product in PRODUCTS:
        if all(name in dataset.variables for name in product.variables):
            return product
    return None


def standardised(dataset: xr.Dataset) -> tuple[xr.Dataset, Product | None]:
    """Write what is known of a product into the attributes; nothing is loaded.

    What the file itself says is kept.

    Returns
    -------
    Dataset
        The same data, or a shallow copy.
    Product or None
        What it was recognised as.
    """
    product = product_of(dataset)
    if product is None:
        return dataset, None
    changed = {}
    for name, meanings in product.flags.items():
        mask = dataset[name]
        if "flag_meanings" in mask.attrs:
            continue
        if name in product.missing and mask.dtype.kind == "f":
            mask = mask.fillna(product.missing[name])
        changed[name] = mask.assign_attrs(
            flag_values=list(meanings), flag_meanings=" ".join(meanings.values())
        )
    return dataset.assign(changed), product
