"""The package as a whole: its table of contents is true, and importing it changes nothing."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import icl_theory

PACKAGE = Path(icl_theory.__file__).parent
NAMES = [name for name in dir(icl_theory) if not isinstance(getattr(icl_theory, name), ModuleType)]


def modules() -> list[str]:
    """Every module, except `__main__`, which runs when imported."""
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return [name for name in names if not name.endswith("__main__")]


def run(code: str) -> str:
    """Standard output of a fresh interpreter, in which a warning is an error."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_jax_on_import() -> None:
    """Importing the package imports no jax."""
    heavy = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "sympy", "matplotlib")
    code = f"import sys, icl_theory; print([name for name in {heavy} if name in sys.modules])"
    assert run(code) == "[]"


def test_no_setting_changed() -> None:
    """jax's configuration, the environment, numpy's error state and global seed, matplotlib's settings."""
    code = f"""
import importlib, os
import jax, flax.nnx, optax, orbax.checkpoint, matplotlib, matplotlib.pyplot, scipy.stats, sympy
import numpy as np

def state():
    seed = np.random.get_state(legacy=False)["state"]
    return {{
        **{{f"jax {{name}}": value for name, value in jax.config.values.items()}},
        **{{f"environment {{name}}": value for name, value in os.environ.items()}},
        **{{f"matplotlib {{name}}": str(value) for name, value in dict.items(matplotlib.rcParams)}},
        "numpy errors": np.geterr(),
        "numpy seed": (seed["key"].tolist(), seed["pos"]),
        "numpy printing": str(np.get_printoptions()),
    }}

before = state()
for name in {modules()!r}:
    importlib.import_module(name)
after = state()
print(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))
"""
    # Third parties may warn while they are imported; what is examined here is state, not warnings.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_control() -> None:
    """The control: the same comparison is not empty after a setting is changed."""
    code = "import jax; a = dict(jax.config.values); jax.config.update('jax_enable_x64', True)"
    assert run(code + "; print(a == dict(jax.config.values))") == "False"


@pytest.mark.parametrize(
    "name", [name for name in dir(icl_theory) if not isinstance(getattr(icl_theory, name), ModuleType)]
)
def test_public_names(name: str) -> None:
    """Every public name exists and is explained."""
    thing = getattr(icl_theory, name)
    explanation = (thing.__doc__ or "").strip()
    assert len(explanation) > 10
    # A dataclass without a docstring of its own gets its signature for one.
    assert not explanation.startswith(f"{name}(")
    assert thing.__module__.startswith("icl_theory.")


def test_table_of_contents() -> None:
    """One listing: every name in it is there, under the module it names, and says the same name again for checkers."""
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    listed = [(node.module, alias) for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert all(alias.name == alias.asname for _, alias in listed)
    assert sorted(alias.name for _, alias in listed) == dir(icl_theory)
    for module, alias in listed:
        home = f"icl_theory.{module or alias.name}"
        found = importlib.import_module(home)
        assert getattr(icl_theory, alias.name) is (found if module is None else getattr(found, alias.name))


def test_unknown_name() -> None:
    """An unknown name is an attribute error."""
    name = "nothing"
    with pytest.raises(AttributeError, match="No icl_theory attribute nothing"):
        getattr(icl_theory, name)


@pytest.mark.parametrize("name", modules())
def test_module_docstrings(name: str) -> None:
    """Every module says what it is."""
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip() or Path(str(module.__file__)).stat().st_size == 0


def test_version() -> None:
    """The version is the one installed."""
    from importlib.metadata import version

    assert version("icl-theory") == icl_theory.__version__
