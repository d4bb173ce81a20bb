"""The house rules that a reader relies on: who imports whom, what an import costs, what is global.

The sources are parsed, not imported: an import inside a function counts as much as one at the top.
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "xdiffice"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Room -> what it may import of ours, besides itself. "" is the package itself (its version).
RESULTS = {"", "errors", "markup", "physics", "model", "observations"}
INVERTER = RESULTS | {
    "training",
    "results",
    "markup",
    "first_viscosity",
    "parameters",
    "preparation",
    "subdomains",
    "choices",
    "uncertainty",
}
DOORS = {"errors", "forward_check", "inverter", "observations", "pictures", "results", "synthetic"}
ALLOWED = {
    "errors": set(),
    "markup": set(),
    "toml": {"errors"},
    "versions": {""},
    "observations": {"", "errors", "markup", "physics.constants"},
    "physics": {"errors"},
    "model": {"errors", "physics"},
    "training": {"errors", "forward", "physics", "model"},
    "results": RESULTS,
    "forward": {"errors", "observations", "physics"},
    "adjoint": {"errors", "forward", "model", "observations", "physics", "results"},
    "synthetic": {"errors", "forward", "observations", "physics"},
    "parameters": {"errors", "observations", "physics"},
    "preparation": {
        "choices",
        "model",
        "nondimensional",
        "observations",
        "physics",
        "subdomains",
        "super_observations",
        "training",
    },
    "subdomains": {"errors", "observations", "physics", "results", "training"},
    "first_viscosity": {"forward", "observations", "physics", "results", "training"},
    "nondimensional": {"errors", "observations", "physics", "training"},
    "super_observations": {"training"},
    "choices": set(),
    "uncertainty": {"errors", "preparation", "results", "super_observations", "training"},
    "pictures": {"errors", "markup", "observations", "physics.constants", "results"},
    "forward_check": {"", "errors", "forward", "observations", "physics", "results"},
    "checkpoint": {"", "errors", "results", "training"},
    "inversion": INVERTER | {"adjoint"},
    "inverter": INVERTER | {"checkpoint", "inversion", "storage"},
    "storage": INVERTER | {"inverter"},
    "campaigns": {
        "",
        "errors",
        "inverter",
        "observations",
        "parameters",
        "results",
        "storage",
        "toml",
        "training.progress",
    },
    "accessor": DOORS,
    "cli": {"errors", "commands", "versions"},
    "commands": DOORS | {"cli", "campaigns", "storage", "toml"},
    "tutorial": {"errors", "observations"},
    "__main__": {"cli"},
    "__init__": {
        "errors",
        "accessor",
        "inverter",
        "observations",
        "campaigns",
        "synthetic",
        "storage",
        "tutorial",
        "versions",
    },
}

# Room -> packages that it must do without. xarray stays outside the equations, JAX outside the
# reading, the optimiser outside the model.
FORBIDDEN = {
    "observations": {"jax", "optax", "sklearn", "matplotlib"},
    "physics": {"xarray", "optax", "sklearn", "matplotlib"},
    "model": {"xarray", "optax", "sklearn", "matplotlib"},
    "forward": {"jax", "optax", "sklearn", "matplotlib"},
    "adjoint": {"xarray", "optax", "sklearn", "matplotlib"},
    "training": {"sklearn", "matplotlib"},
    "results": {"optax", "sklearn", "matplotlib"},
    "pictures": {"jax", "optax", "sklearn"},
    "accessor": {"jax", "optax", "sklearn", "matplotlib"},
    "cli": {"jax", "xarray", "matplotlib"},
    "commands": {"jax", "matplotlib"},
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(path: Path):
    """Yield (absolute module name, line) of all imports that can run."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    package = parts[:-1]  # also of __init__.py, whose dots count from its own folder
    pending = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if is_type_checking(node):
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno
        pending.extend(ast.iter_child_nodes(node))


def is_allowed(module: str, room: str, allowed: set[str]) -> bool:
    """Tell whether xdiffice.a.b.c is in the room itself or under something allowed."""
    inside = module.split(".")[1:]
    if inside[0] == room:
        return True
    if "" in allowed and inside[0].startswith("__"):
        return True
    return any(".".join(inside[: i + 1]) in allowed for i in range(len(inside)))


def test_every_room_is_in_the_table():
    assert {room_of(path) for path in SOURCES} - set(ALLOWED) == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_way_of_the_data(path):
    room = room_of(path)
    for module, line in imports(path):
        top = module.partition(".")[0]
        where = f"{path.relative_to(PACKAGE.parent)}:{line} imports {module}"
        if top == "xdiffice":
            assert is_allowed(module, room, ALLOWED[room]), where
        assert top not in FORBIDDEN.get(room, set()), where


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from ..model.network import f", "xdiffice.model.network.f"),
        ("def f():\n    from ..physics import scales", "xdiffice.physics.scales"),
        ("import xdiffice.training.loop as loop", "xdiffice.training.loop"),
    ],
)
def test_the_reader_of_imports_sees_them(tmp_path, monkeypatch, source, found):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "xdiffice")
    path = tmp_path / "xdiffice" / "observations" / "module.py"
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert [module for module, _ in imports(path)] == [found]
    assert not is_allowed(found, "observations", ALLOWED["observations"])


def test_constants_alone_are_allowed_of_physics():
    allowed = ALLOWED["observations"]
    assert is_allowed("xdiffice.physics.constants.SECONDS_PER_YEAR", "observations", allowed)
    assert not is_allowed("xdiffice.physics.scales", "observations", allowed)


def python(code: str, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=PACKAGE.parent,
    )


def test_import_loads_nothing_heavy():
    heavy = "jax optax sklearn pint skfem matplotlib scipy.spatial scipy.sparse tqdm netCDF4 dask"
    code = (
        "import sys, xarray; before = set(sys.modules); import xdiffice\n"
        f"print(*[m for m in {heavy.split()!r} if m in sys.modules and m not in before])"
    )
    assert python(code).stdout.split() == []


def test_reading_a_dataset_needs_no_jax():
    code = (
        "import sys, xarray, xdiffice\n"
        "repr(xarray.Dataset().diffice)\n"
        "import xdiffice.observations.gather, xdiffice.pictures.observed\n"
        "print('jax' in sys.modules, 'sklearn' in sys.modules)"
    )
    assert python(code).stdout.split() == ["False", "False"]


def test_import_costs_at_most_three_tenths_of_a_second():
    costs = []
    for _ in range(5):
        lines = python("import xdiffice", "-X", "importtime").stderr.splitlines()
        cumulative = {
            fields[-1].strip(): int(fields[-2])
            for fields in (line.removeprefix("import time:").split("|") for line in lines)
            if len(fields) == 3 and fields[-2].strip().isdigit()
        }
        costs.append((cumulative["xdiffice"] - cumulative["xarray"]) / 1e6)
    assert statistics.median(costs) <= 0.3, costs


GLOBAL = {
    "jax.config.update": "use jax.enable_x64(True) as a context",
    "set_application_registry": "the registry belongs to the user",
    "cf_xarray.units": "it replaces the application registry of pint",
    "warnings.filterwarnings": "the filters belong to the user",
    "warnings.simplefilter": "the filters belong to the user",
    "matplotlib.use": "the backend belongs to the user",
    "pyplot": "it chooses a backend for the user",
    "xr.set_options": "the options belong to the user",
    "np.random.seed": "random keys are passed",
}


# xarray does so, too, where nobody says where to draw.
EXCEPT = {("maps.py", "pyplot")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_global_is_changed(path):
    code = ast.unparse(_without_docstrings(ast.parse(path.read_text(encoding="utf-8"))))
    for name, reason in GLOBAL.items():
        assert name not in code or (path.name, name) in EXCEPT, f"{path.name}: {name}: {reason}"


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(...)
    return tree


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_public_things_have_docstrings(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.name != "__init__.py" or tree.body:
        assert ast.get_docstring(tree), f"{path.name} has no docstring"
    scopes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    for scope in scopes:
        if isinstance(scope, ast.ClassDef) and scope.name.startswith("_"):
            continue
        for node in scope.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name}:{node.lineno}: {node.name}"


def test_public_names_exist_and_are_listed():
    import xdiffice

    assert xdiffice.__all__ == sorted(xdiffice.__all__)
    assert set(xdiffice.__all__) <= set(dir(xdiffice))
    for name in xdiffice.__all__:
        assert getattr(xdiffice, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'load_all'"):
        _ = xdiffice.load_all


def test_the_solver_is_offered_beside_the_shelves_that_it_makes():
    from xdiffice import synthetic
    from xdiffice.forward import flow, fronts, meshes, solve

    assert synthetic.ShelfFlow is flow.ShelfFlow
    assert synthetic.solve_shelf is solve.solve_shelf
    assert synthetic.near_points is fronts.near_points
    for name in ("box_mesh", "level_set_mesh", "mask_mesh"):
        assert getattr(synthetic, name) is getattr(meshes, name)
