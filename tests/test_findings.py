"""The pages of findings: what the records say, and nothing else."""

import gzip
import json

import findings as pages
import pytest

from icl_theory.claims.engine.expected_verdicts import expected_verdicts
from icl_theory.claims.order import LABELS
from icl_theory.claims.registry import load

LEDGER = json.loads(gzip.decompress(pages.LEDGER.read_bytes()))


@pytest.mark.parametrize(
    ("path", "made"), [("docs/findings.md", pages.findings_page), ("experiments/README.md", pages.experiments_page)]
)
def test_pages_are_made(path: str, made) -> None:
    """Written again from the records they are the same."""
    assert (pages.ROOT / path).read_text(encoding="utf-8") == made(LEDGER)


def test_ledger_is_the_present_one() -> None:
    """Every claim, in order, as it is stated now, with its known verdict and all controls caught."""
    assert [claim["label"] for claim in LEDGER["claims"]] == list(LABELS)
    for claim in LEDGER["claims"]:
        assert claim["verdict"] == expected_verdicts()[claim["label"]]
        assert claim["statement"] == load(claim["label"]).statement
        assert claim["origin"] == load(claim["label"]).origin
        assert claim["caught"] == claim["controls"] == len(load(claim["label"]).controls)


def test_cells_of_tables() -> None:
    """A bar, a star or an underscore would end a cell or change its type."""
    assert pages.cell("$|x|_F * y < 1$\n and") == "\\|x\\|\\_F \\* y &lt; 1 and"


def test_sweep_is_averaged() -> None:
    """The mean over records of one module and rank, with the error over seeds and tasks."""
    rows = [
        {"module": "key", "rank": 1, "seed": s, "task": t}
        | {name: {"value": value, "stderr": 0.0} for name in ("gap", "population_risk")}
        | {"rungs": {name: {"value": value, "stderr": 0.0} for name in ("readout", "gaussian", "theorem_2_repaired")}}
        for value, (s, t) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1)))
    ]
    (found,) = pages._sweep(rows)
    assert found["gap"] == (1.5, pytest.approx((1.0**2 + 0.5**2) ** 0.5))
