"""One direction through the package: a package imports only from those before it in this list, and none in a circle."""

import ast
from pathlib import Path

import pytest

import icl_theory

ORDER = (
    "core",
    "tasks",
    "records",
    "models",
    "figures",
    "descent",
    "risk",
    "noise",
    "information",
    "training",
    "truncation",
    "grids",
    "claims",
    "report",
    "runs",
    "lessons",
    "cli",
    "__main__",
)

PACKAGE = Path(icl_theory.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    """The name inside the package: "noise.support", "" for the package itself."""
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


def packages(source: str) -> set[str]:
    """The packages of ours that a source imports from; "" where it reaches through the table of contents."""
    names = [name.split(".") for name in imports(source) if name.split(".")[0] == "icl_theory"]
    return {parts[1] if len(parts) > 1 and parts[1] in ORDER else "" for parts in names}


def violations(package: str, source: str) -> list[str]:
    """Packages that a file of `package` must not import from."""
    here = ORDER.index(package)
    return sorted(name for name in packages(source) if name == "" or ORDER.index(name) > here)


def modules_of(package: str) -> dict[str, set[str]]:
    """Module → modules of the same package that it imports when it is itself imported."""
    paths = {f"icl_theory.{module_of(path)}": path for path in (PACKAGE / package).rglob("*.py")}
    return {name: at_once(path.read_text(encoding="utf-8")) & paths.keys() for name, path in paths.items()}


def at_once(source: str) -> set[str]:
    """Imports at the top of a source, those for type checkers aside."""
    top = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    return {name for node in top for name in imports(ast.unparse(node))}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Some nodes that lead back to themselves; empty if there are none."""
    left = dict(graph)
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


@pytest.mark.parametrize("path", [path for path in SOURCES if module_of(path)], ids=module_of)
def test_imports_run_one_way(path: Path) -> None:
    package = module_of(path).split(".")[0]
    assert package in ORDER, f"{package} is missing from ORDER"
    assert violations(package, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("package", ORDER[:-1])
def test_no_circle(package: str) -> None:
    """No package imports itself in a circle."""
    assert circle(modules_of(package)) == []


def test_order() -> None:
    """Packages stand in the order and nothing else does."""
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(ORDER[:-1])
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", "__main__"}


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_stands_alone(path: Path) -> None:
    """The package stands alone."""
    outside = ("experiments", "paper_figures", "tests", "helpers", "conftest", "pytest", "hypothesis")
    tops = {name.split(".")[0] for name in imports(path.read_text(encoding="utf-8"))}
    assert not tops & set(outside)


@pytest.mark.parametrize("path", sorted((PACKAGE / "figures").glob("*.py")), ids=module_of)
def test_figures_compute_nothing(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert packages(source) <= {"core", "records", "figures"}
    tops = {name.split(".")[0] for name in imports(source)}
    assert not tops & {"jax", "jaxlib", "flax", "optax", "scipy", "sympy"}


def test_the_order_is_enforced() -> None:
    """Negative controls: imports that must be seen, wherever they hide."""
    assert violations("tasks", "from icl_theory.core import checks") == []
    assert violations("tasks", "import icl_theory.noise.support") == ["noise"]
    assert violations("models", "from icl_theory.descent import trajectory") == ["descent"]
    assert violations("noise", "def f():\n    from icl_theory.cli.main import main") == ["cli"]
    hidden = "import importlib\nif 1:\n    importlib.import_module('icl_theory.claims.registry')"
    assert violations("truncation", hidden) == ["claims"]
    assert violations("claims", "from icl_theory.claims.engine.claim import Claim") == []
    assert violations("runs", "from icl_theory.report.page.document import page") == []
    assert violations("claims", "import icl_theory.runs.verify") == ["runs"]
    assert violations("tasks", "from icl_theory import forward") == [""]
    assert violations("tasks", "import icl_theory") == [""]
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["a", "b", "c"]
    assert at_once("import a\nif TYPE_CHECKING:\n    import b\ndef f():\n    import c") == {"a"}


def borrowed(source: str, files: set[str]) -> set[str]:
    """Files of single claims that a source imports from."""
    return imports(source) & files


def test_claims_stand_alone() -> None:
    """A claim imports from no other claim: what several need is in claims/quantities."""
    paths = [
        path for path in (PACKAGE / "claims").glob("*/*.py") if "CLAIM = Claim(" in path.read_text(encoding="utf-8")
    ]
    files = {f"icl_theory.{module_of(path)}" for path in paths}
    assert len(files) > 100
    assert {path.stem: found for path in paths if (found := borrowed(path.read_text(encoding="utf-8"), files))} == {}
    assert borrowed("from icl_theory.claims.information.lemma_3 import x", files) == {
        "icl_theory.claims.information.lemma_3"
    }
