"""What results show: a short repr, one row per number, a table for notebooks, field docs in help()."""

import builtins
import inspect
import math
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import icl_theory as it
from icl_theory.core.estimate import Estimate
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.results import Result

BOUND = Estimate(0.25, 0.5, 64, "upper", "loss", "a <note>")


@fields_in_help
@dataclass(frozen=True, repr=False)
class Found(Result):
    """What was found."""

    gap: Estimate
    """The gap,
    measured."""
    rungs: dict[str, Estimate]
    layers: tuple[int, ...]
    """d_S."""
    inner: Any
    words: str
    weights: np.ndarray
    """Shape (2, 2)."""
    terms: np.ndarray = field(repr=False)
    """Hidden."""


FOUND = Found(Estimate(1.0), {"one": BOUND}, (6, 6), [Estimate(2.0)], "a text", np.ones((2, 2)), np.ones(9))


def test_one_line_repr() -> None:
    """A repr says what there is in one line."""
    assert repr(FOUND) == (
        "Found(gap=1 nats, rungs={1 entries}, layers=(6, 6), inner=[1 × Estimate], words='a text', "
        "weights=float64[2, 2])"
    )


def test_rows() -> None:
    """One row for every number."""
    rows = FOUND.rows()
    assert [row["quantity"] for row in rows] == ["gap", "rungs.one", "layers[0]", "layers[1]", "inner[0]"]
    assert rows[1] == {
        **{"quantity": "rungs.one", "value": 0.25, "stderr": 0.5, "samples": 64, "direction": "upper"},
        **{"unit": "loss", "note": "a <note>"},
    }
    assert (rows[2]["value"], rows[2]["direction"], rows[2]["unit"]) == (6.0, "exact", "")
    frame = FOUND.frame()
    assert list(frame.columns) == list(rows[0])
    assert frame.loc[1, "stderr"] == 0.5


def test_escaped_table() -> None:
    """A table for notebooks is escaped."""
    text = FOUND._repr_html_()
    assert text.startswith("<table><caption>Found</caption><thead><tr><th>quantity</th><th>value</th>")
    assert "a &lt;note&gt;" in text
    assert "<note>" not in text
    assert text.count("<tr>") == 1 + len(FOUND.rows())


def test_field_docs() -> None:
    """Fields are in the docstring that help shows."""
    assert inspect.getdoc(Found) == (
        "What was found.\n\nFields:\n    gap: The gap, measured.\n    layers: d_S.\n    weights: Shape (2, 2).\n"
        "    terms: Hidden."
    )
    for cls in (it.BoundLadder, it.Model, it.claims.Claim, it.TrainResult, it.claims.Evidence):
        named = [line.split(":")[0].strip() for line in (inspect.getdoc(cls) or "").split("Fields:")[1].splitlines()]
        assert [name for name in cls.__dataclass_fields__ if name not in named] == []


def test_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pandas a sentence says what to install."""
    real = builtins.__import__

    def absent(name: str, *args: Any) -> Any:
        if name == "pandas":
            raise ModuleNotFoundError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ModuleNotFoundError, match=r"python -m pip install 'icl-theory\[frames\]'"):
        FOUND.frame()


def test_pandas_is_lazy() -> None:
    """Pandas is imported only when needed."""
    code = "import sys, icl_theory; icl_theory.bound_ladder; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.strip() == "False"


def test_short_results() -> None:
    """Results of the package are short."""
    model, task = it.random_weights(0, layers=2, token_dim=3), it.LinearRegression(2, noise_std=0.5)
    sizes: dict[str, Any] = {"demonstrations": 12, "shots": 4, "clip": 4.0, "samples": 32}
    trained = it.train(task, layers=1, shots=4, steps=3, seeds=2)
    results = [
        it.bound_ladder(model, task, **sizes),
        it.implicit_trajectory(model, np.ones((5, 3))),
        it.gradient_noise(model, np.eye(3), shots=2),
        it.gradient_descent_agreement(model, task, shots=4, prompts=9),
        it.search_clipping_rate(model, task, shots=4, prompts=9),
        trained,
    ]
    for result in results:
        assert len(repr(result)) < 500, repr(result)
        assert repr(result).startswith(type(result).__name__ + "(")
    assert math.isfinite(results[0].frame()["value"].iloc[0])
    assert repr(trained.models) == "Model(seeds=2, layers=1, token_dim=3)"
