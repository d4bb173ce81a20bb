"""Which variable of a Dataset plays which role.

A table of CF standard names and of names that real products use, and the search through it; it
hands on the name of a variable, or an error that says what to pass.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import xarray as xr

from xdiffice.errors import AmbiguousVariableError, ParameterError, VariableNotFoundError
from xdiffice.observations.masks import tells_floating

Explicit = Mapping[str, str | None]


@dataclass(frozen=True)
class Role:
    """How to recognise the variable of one role.

    Parameters
    ----------
    meaning : str
        What it is, for messages.
    si : str
        Its SI units.
    standard_name : str
        Regular expression for the whole CF standard name.
    name : str
        Regular expression for the whole variable name; case does not matter.
    hint : str
        Standard name and names to show in messages.
    parent : str or None
        For an error: the role of the variable that it belongs to.
    """

    meaning: str
    si: str
    standard_name: str
    name: str
    hint: str
    parent: str | None = None


def _velocity(axis: str, letter: str) -> Role:
    return Role(
        meaning=f"velocity in {axis}",
        si="m s-1",
        standard_name=rf"(land_ice(_surface|_vertical_mean)?_)?{axis}_velocity",
        name=rf"v{axis}|v_{axis}|{letter}|{letter}d|{axis}_?velocity|velocity_?{axis}|vel_?{axis}"
        rf"|{axis}vel(mean|surf)|{letter}_?velocity|{letter}vel(mean|surf)"
        rf"|land_ice(_surface|_vertical_mean)?_{axis}_velocity",
        hint=f"standard_name 'land_ice_vertical_mean_{axis}_velocity' (or 'land_ice_surface_...', "
        f"'land_ice_{axis}_velocity'), or a name such as 'v{axis}', 'V{axis.upper()}', "
        f"'{axis}_velocity'",
    )


def _velocity_error(axis: str, letter: str) -> Role:
    return Role(
        meaning=f"error of the velocity in {axis}",
        si="m s-1",
        standard_name=rf"(land_ice(_surface|_vertical_mean)?_)?{axis}_velocity standard_error"
        rf"|err_ice_{axis}_velocity",
        name=rf"err_?v?{axis}|v{axis}_?(err|error|sigma|uncertainty|unc)"
        rf"|{letter}_?(err|error|sigma|uncertainty|unc)|{axis}_?velocity_?(error|uncertainty)",
        hint=f"an ancillary variable, or a name such as 'v{axis}_error', 'ERR{axis.upper()}'",
        parent=f"{axis}_velocity",
    )


def _front(axis: str) -> Role:
    return Role(
        meaning=f"{axis} of the calving front",
        si="m",
        standard_name="",
        name=rf"{axis}_?front|front_?{axis}|{axis}_?calving_?front|calving_?front_?{axis}|{axis}ct",
        hint=f"a name such as '{axis}_front'",
    )


def _normal(axis: str) -> Role:
    return Role(
        meaning=f"{axis} component of the front's outward unit normal",
        si="1",
        standard_name="",
        name=rf"{axis}_?normal|normal_?{axis}|n_?{axis}",
        hint=f"a name such as '{axis}_normal', 'n{axis}'",
    )


ROLES: dict[str, Role] = {
    "x_velocity": _velocity("x", "u"),
    "y_velocity": _velocity("y", "v"),
    "thickness": Role(
        meaning="ice thickness",
        si="m",
        standard_name=r"(land|floating)_ice_thickness",
        name=r"((land_|floating_)?ice_?)?thickness|thick|thk|lithk|h|hd",
        hint="standard_name 'land_ice_thickness', or a name such as 'thickness', 'lithk'",
    ),
    "mask": Role(
        meaning="mask of floating ice",
        si="1",
        standard_name=r"floating_ice_(shelf|sheet)_area_fraction",
        name=r"mask|ice_?mask|(ice_?)?shelf_?mask|floating(_?ice)?(_?mask)?|sftflf",
        hint="standard_name 'floating_ice_shelf_area_fraction', a name such as 'mask', or "
        "flag_meanings of which one is floating ice",
    ),
    "land_ice": Role(
        meaning="mask of all ice, grounded or floating",
        si="1",
        standard_name=r"land_ice_area_fraction",
        name=r"land_?ice|sftgif",
        hint="standard_name 'land_ice_area_fraction', or a name such as 'landice', 'sftgif'",
    ),
    "x_velocity_error": _velocity_error("x", "u"),
    "y_velocity_error": _velocity_error("y", "v"),
    "thickness_error": Role(
        meaning="error of the ice thickness",
        si="m",
        standard_name=r"(land|floating)_ice_thickness standard_error",
        name=r"(ice_?)?thickness_?(err|error|sigma|uncertainty|unc|std)"
        r"|err_?(thickness|thk|bed|h)|h_?(err|error|sigma)|(thk|lithk)_?(err|error)",
        hint="an ancillary variable, or a name such as 'thickness_error', 'errbed'",
        parent="thickness",
    ),
    "x_front": _front("x"),
    "y_front": _front("y"),
    "x_normal": _normal("x"),
    "y_normal": _normal("y"),
}
"""All roles, in the order in which they are searched and reported."""

FRONT_ROLES = ("x_front", "y_front", "x_normal", "y_normal")

MASK_ROLES = ("mask", "land_ice")
SHELF_ROLES = tuple(role for role in ROLES if role != "land_ice")
"""What an inversion reads; the mask of all ice tells only where the ocean is."""

_ERROR_LIKE = re.compile(r"err|std|sigma|unc|stat", re.IGNORECASE)


def check_roles(variables: Explicit | None) -> None:
    """Refuse keys of `variables` that are no role.

    Raises
    ------
    ParameterError
        If a key is no role, naming all roles.
    """
    unknown = [key for key in variables or {} if key not in ROLES]
    if unknown:
        raise ParameterError(
            f"variables has unknown keys {', '.join(map(repr, unknown))}; "
            f"the roles are {', '.join(ROLES)}"
        )


def find(
    datasets: Sequence[xr.Dataset], role: str, variables: Explicit | None = None
) -> tuple[xr.Dataset, str] | None:
    """Find the variable of one role: by explicit name, by CF standard name, by name.

    A mask that none of these finds is the one variable whose flags tell what floats.

    Parameters
    ----------
    datasets : sequence of Dataset
        Where to look; the first Dataset that has one decides.
    role : str
        A key of `ROLES`.
    variables : mapping, optional
        Explicit names, by role. None as a name means that the role is left empty.

    Returns
    -------
    tuple of Dataset and str, or None
        The Dataset and the name of its variable; None where there is none.

    Raises
    ------
    VariableNotFoundError
        If the explicit name is not there.
    AmbiguousVariableError
        If several variables could be it.
    """
    if variables is not None and role in variables:
        name = variables[role]
        if name is None:
            return None
        for dataset in datasets:
            if name in dataset.variables:
                return dataset, name
        raise VariableNotFoundError(
            f"variables={{{role!r}: {name!r}}}: there is no variable {name!r}; "
            f"found: {_names(datasets)}"
        )
    for dataset in datasets:
        candidates = _candidates(dataset, role, variables or {})
        if candidates:
            return dataset, _the_one(candidates, role)
    for dataset in datasets if role == "mask" else ():
        flagged = [str(name) for name, one in dataset.data_vars.items() if tells_floating(one)]
        if flagged:
            return dataset, _the_one(flagged, role)
    return None


def _the_one(candidates: Sequence[str], role: str) -> str:
    """Return the only candidate.

    Raises
    ------
    AmbiguousVariableError
        If there are several.
    """
    if len(candidates) > 1:
        shown = ", ".join(map(repr, candidates))
        raise AmbiguousVariableError(
            f"{len(candidates)} variables could be the {ROLES[role].meaning}: {shown}; "
            f"choose one with variables={{{role!r}: {candidates[0]!r}}}"
        )
    return candidates[0]


def not_found(datasets: Sequence[xr.Dataset], role: str) -> VariableNotFoundError:
    """Make the error for a role that nothing plays: looked for, found, what to do."""
    message = (
        f"no variable for the {ROLES[role].meaning}: looked for {ROLES[role].hint}; "
        f"found: {_names(datasets)}. Pass variables={{{role!r}: '<name>'}}"
    )
    if role == "thickness":
        message += ", or thickness=<Dataset> where it is in another one"
        heights = [name for data in datasets for name in data.variables if _is_bare_h(name)]
        if heights:
            message += (
                f" ({heights[0]!r} may be a surface height as well, as nothing in its attributes "
                f"says thickness: pass variables={{'thickness': {heights[0]!r}}} if it is)"
            )
    return VariableNotFoundError(message)


def _names(datasets: Sequence[xr.Dataset]) -> str:
    """List the data variables for a message, not too many of them."""
    names = list(dict.fromkeys(str(name) for data in datasets for name in data.data_vars))
    if not names:
        return "no data variables at all"
    return ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")


def _candidates(dataset: xr.Dataset, role: str, explicit: Explicit) -> list[str]:
    """Return the names that match at the first of the stages at which any matches."""
    row = ROLES[role]
    found = _by_standard_name(dataset, role)
    if found:
        return found
    if row.parent is not None:
        found = _ancillary(dataset, row, explicit)
        if found:
            return found
    others = {n for other in ROLES if other != role for n in _by_standard_name(dataset, other)}
    return [
        str(name)
        for name, variable in dataset.variables.items()
        if _may_play(dataset, name, role)
        and re.fullmatch(row.name, str(name), re.IGNORECASE)
        and name not in others
        and not (role == "thickness" and _is_bare_h(name) and not _says_thickness(variable))
    ]


def _may_play(dataset: xr.Dataset, name: Hashable, role: str) -> bool:
    """Tell whether a variable can be a field of this role at all.

    An axis is no field. Arithmetic keeps attributes, so that ``ds.thickness > 0`` is also called a
    thickness by its standard name: booleans can be masks only.
    """
    if not isinstance(name, str) or name in dataset.dims:
        return False
    return role in MASK_ROLES or dataset.variables[name].dtype != bool


def _by_standard_name(dataset: xr.Dataset, role: str) -> list[str]:
    """Return the names of the variables whose standard name is one of this role.

    Of several, those are left out whose names are of another role: they were computed from the
    variable itself and kept its attributes, as ``ds["thickness_error"] = 0.05 * ds.thickness``.
    """
    pattern = ROLES[role].standard_name
    if not pattern:
        return []
    found = [
        str(name)
        for name, variable in dataset.variables.items()
        if _may_play(dataset, name, role)
        and re.fullmatch(pattern, str(variable.attrs.get("standard_name", "")).strip())
    ]
    if len(found) < 2:
        return found
    return [
        name
        for name in found
        if re.fullmatch(ROLES[role].name, name, re.IGNORECASE)
        or not any(re.fullmatch(row.name, name, re.IGNORECASE) for row in ROLES.values())
    ]


def _ancillary(dataset: xr.Dataset, row: Role, explicit: Explicit) -> list[str]:
    """Return the error variables that the parent variable names as its ancillary variables."""
    assert row.parent is not None
    chosen = explicit.get(row.parent)
    parents = [chosen] if chosen in dataset else _candidates(dataset, row.parent, explicit)
    if len(parents) != 1:
        return []
    attribute = dataset[parents[0]].attrs.get("ancillary_variables", "")
    names = [name for name in str(attribute).split() if name in dataset.variables]
    return [
        name
        for name in names
        if re.fullmatch(row.name, name, re.IGNORECASE)
        or "standard_error" in str(dataset[name].attrs.get("standard_name", ""))
        or (len(names) == 1 and _ERROR_LIKE.search(name))
    ]


def _is_bare_h(name: object) -> bool:
    return str(name).lower() in {"h", "hd"}


def _says_thickness(variable: xr.Variable) -> bool:
    """Tell whether attributes call it a thickness: altimetry products name surface height ``h``."""
    texts = (variable.attrs.get(key, "") for key in ("long_name", "standard_name", "description"))
    return any("thick" in str(text).lower() for text in texts)
