"""One road through the package: a module imports only from those above it in this list."""

import ast
from pathlib import Path

import pytest

import icl_theory

ORDER = (
    "_checks",
    "_numerics",
    "estimate",
    "task_base",
    "tasks",
    "teachers",
    "vector_tasks",
    "sparse_posterior",
    "baselines",
    "weights",
    "attention",
    "transformer",
    "constructions",
    "trajectory",
    "exact_risk",
    "risk",
    "descent",
    "agreement",
    "data",
    "optimizer",
    "ensemble",
    "checkpoint",
    "run_state",
    "training",
    "support",
    "summed_support",
    "noise",
    "normality",
    "noise_curve",
    "information.losses",
    "information.channel",
    "information.large_sample",
    "information.simulation",
    "information.path",
    "information.chain",
    "information.sandwich",
    "information.ksg",
    "information.known_channels",
    "information.calibration",
    "information.membership",
    "information.forward_selections",
    "information.supersample",
    "information.individual",
    "information.ends",
    "information.rungs",
    "information.single_rungs",
    "information.ladder",
    "subsets",
    "truncation",
    "sweep",
    "search",
    "claims",
    "report",
    "figure_style",
    "loss_figure",
    "figures",
    "sweep_figures",
    "report.bounds",  # trains, sweeps and draws
    "report.train_run",  # trains into a run directory and draws the loss curve there
    "claims.recording",  # turns outcomes into records
    "claims.run",  # runs the claims and hands their outcomes to the report and the figures
    "commands",
    "cli",
    "__main__",
)
GROUPS = ("claims", "report")
"""Packages whose modules may import one another."""

PACKAGE = Path(icl_theory.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    """The name inside the package: "noise", "information.ladder", "" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str) -> set[str]:
    """Every module that a source imports, at any depth of its code, as absolute dotted names.

    A name imported from a package may be a module of it or not; both readings are given.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {str(node.module)} - {"icl_theory"}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            assert node.args, "import_module needs a name"
            name = node.args[0]
            found |= {str(name.value)} if isinstance(name, ast.Constant) else {"computed name"}
    return found


def through_the_contents(source: str) -> list[str]:
    """Imports of `icl_theory` itself, of a public name from it, or of a name computed at run time."""
    heads = {name.split(".")[0] for name in ORDER}
    names = imports(source)
    return sorted(
        name
        for name in names
        if name in ("icl_theory", "computed name")
        or (name.startswith("icl_theory.") and name.split(".")[1] not in heads)
    )


def place(module: str) -> int | None:
    """Position in ORDER; None for the empty packages and for what is no module of this package."""
    if module in ORDER:
        return ORDER.index(module)
    head = module.split(".")[0]
    if head in GROUPS:
        return ORDER.index(head)
    return None


def violations(module: str, source: str) -> list[str]:
    """Imports of `module` that run against the order."""
    here = place(module)
    assert here is not None
    result = []
    for name in sorted(imports(source)):
        there = place(name.removeprefix("icl_theory.")) if name.startswith("icl_theory.") else None
        same_group = there == here and ORDER[here] in GROUPS
        if there is not None and there >= here and not same_group:
            result.append(name)
    return result


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_every_module_has_its_place(path: Path) -> None:
    if path.name == "__init__.py" and path.parent.name not in GROUPS:
        # A package file is a door, not a module on the road: it may import nothing but for type checkers.
        body = ast.parse(path.read_text(encoding="utf-8")).body
        top = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not [name for node in top for name in imports(ast.unparse(node)) if name.startswith("icl_theory")]
    else:
        assert place(module_of(path)) is not None, f"{module_of(path)} is missing from ORDER"


@pytest.mark.parametrize("path", [p for p in SOURCES if place(module_of(p)) is not None], ids=module_of)
def test_imports_run_one_way(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert violations(module_of(path), source) == []
    if (place(module_of(path)) or 0) < ORDER.index("claims"):
        # Through the table of contents anything could be reached.
        assert through_the_contents(source) == []


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_the_package_stands_alone(path: Path) -> None:
    outside = ("experiments", "paper_figures", "tests", "helpers", "conftest", "pytest", "hypothesis")
    tops = {name.split(".")[0] for name in imports(path.read_text(encoding="utf-8"))}
    assert not tops & set(outside)


@pytest.mark.parametrize("name", ["figure_style", "figures", "sweep_figures", "loss_figure"])
def test_figures_compute_nothing(name: str) -> None:
    found = imports((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))
    allowed = ("icl_theory._checks", "icl_theory.report", "icl_theory.figure_style", "icl_theory.figures")
    own = {module for module in found if module.startswith("icl_theory")}
    assert all(module.startswith(allowed) for module in own), own
    tops = {module.split(".")[0] for module in found}
    assert not tops & {"jax", "jaxlib", "flax", "optax", "scipy", "sympy"}


def test_the_order_is_enforced() -> None:
    """Negative controls: imports that must be seen, wherever they hide."""
    assert violations("tasks", "from icl_theory import _checks") == []
    assert violations("tasks", "import icl_theory.noise") == ["icl_theory.noise"]
    assert violations("attention", "from icl_theory import trajectory") == ["icl_theory.trajectory"]
    assert "icl_theory.cli" in violations("noise", "def f():\n    from icl_theory.cli import main")
    hidden = "import importlib\nif 1:\n    importlib.import_module('icl_theory.claims.base')"
    assert violations("sweep", hidden) == ["icl_theory.claims.base"]
    assert violations("claims.one", "from icl_theory.claims.base import Claim") == []
    assert violations("claims.run", "from icl_theory.report.page import write") == []
    assert "icl_theory.claims.run" in violations("claims.one", "import icl_theory.claims.run")
    assert "icl_theory.report.page" in violations("claims.one", "import icl_theory.report.page")
    assert "icl_theory.tasks" in violations("tasks", "from icl_theory.tasks import Prompt")
    assert through_the_contents("from icl_theory import _checks") == []
    assert through_the_contents("from icl_theory import forward") == ["icl_theory.forward"]
    assert through_the_contents("import icl_theory") == ["icl_theory"]
    assert through_the_contents("import importlib\nimportlib.import_module(f'{1}')") == ["computed name"]
    assert len(set(ORDER)) == len(ORDER)
