"""Intervals, verdicts and deciding factors against scipy, by hand and against a slow jackknife."""

import math

import numpy as np
import pytest
from scipy import stats
from small_grid import made_up_table

from icl_theory.grids import findings, grid, judge
from icl_theory.grids.deciding_factors import factor_effects
from icl_theory.grids.finding import Cell
from icl_theory.grids.judgement import Outcome, cell_outcome, cell_values, judge_values, verdict_of

RULES = grid("full").judgement
CELL: Cell = {"task": "regression"}


def test_student_interval() -> None:
    """Mean, standard error and interval of scipy's t-test."""
    values = np.random.default_rng(3).standard_normal(16) + 0.3
    found = cell_outcome(CELL, values, RULES)
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(RULES.level)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-12)
    assert found.stderr == pytest.approx(stats.sem(values))
    assert (found.seeds_for, found.seeds_against, found.seeds) == ((values > 0).sum(), (values < 0).sum(), 16)


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([1.0, 1.1, 0.9, 1.0], "for"),
        ([-1.0, -1.1, -0.9, -1.0], "against"),
        ([1.0, -1.1, 0.9, -1.0], "undecided"),
        ([1.0, 4.0, 0.1, 0.2], "undecided"),  # all seeds for it, and still an interval that holds 0
        ([0.0, 0.0, 0.0], "undecided"),
        ([-0.01, -0.01, -0.01], "against"),  # no seed differs: the interval is a point
        ([1.0, math.nan, 1.0], "not finite"),
        ([1.0, math.inf, 1.0], "not finite"),
    ],
)
def test_outcomes(values: list[float], outcome: str) -> None:
    """Which side of 0 the whole interval is on."""
    assert cell_outcome(CELL, np.array(values), RULES).outcome == outcome


def outcomes(good: int, bad: int, undecided: int) -> list[Outcome]:
    """So many cells of each kind."""
    kinds: list[tuple[Outcome, int]] = [("for", good), ("against", bad), ("undecided", undecided)]
    return [outcome for outcome, count in kinds for _ in range(count)]


@pytest.mark.parametrize(
    ("good", "bad", "open_", "verdict"),
    [
        (10, 0, 0, "HOLDS"),
        (9, 1, 10, "HOLDS"),  # nine tenths of the decided half
        (9, 1, 11, "INCONCLUSIVE"),  # less than half decided, and one cell of 21 is less than a twentieth
        (8, 2, 0, "DEPENDS"),
        (0, 10, 10, "FAILS"),
        (1, 9, 0, "FAILS"),
        (1, 9, 10, "FAILS"),
        (0, 9, 11, "INCONCLUSIVE"),
        (1, 1, 18, "DEPENDS"),  # a twentieth each
        (1, 1, 19, "INCONCLUSIVE"),
        (5, 5, 0, "DEPENDS"),
    ],
)
def test_verdicts(good: int, bad: int, open_: int, verdict: str) -> None:
    """The registered rules, counted by hand."""
    assert verdict_of(outcomes(good, bad, open_), RULES) == verdict


def test_nothing_finite_is_no_decision() -> None:
    """Cells without a number count as undecided."""
    nothing: tuple[Outcome, ...] = ("not finite",) * 6
    assert verdict_of([*outcomes(4, 0, 0), *nothing], RULES) == "INCONCLUSIVE"


def test_factors_by_hand() -> None:
    """Two by two cells: one factor decides all, the other nothing; then half and half."""
    cells: list[Cell] = [{"a": a, "b": b} for a in ("x", "y") for b in (1, 2)]
    rows = np.array([[1.0, 2.0], [3.0, 1.0], [-1.0, -1.0], [-2.0, -3.0]])
    first, second = factor_effects(("a", "b"), cells, rows, 0.95)
    assert (first.name, first.share, second.name, second.share) == ("a", 1.0, "b", 0.0)
    assert first.scores == {"x": 1.0, "y": -1.0}
    assert (first.low, first.high) == (1.0, 1.0)  # without either seed it is the same
    mixed = factor_effects(("a", "b"), cells, np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [-1.0, -1.0]]), 0.95)
    assert [effect.share for effect in mixed] == pytest.approx([1 / 3, 1 / 3])


def test_factors_against_a_slow_jackknife() -> None:
    """η² from its sums, with each seed left out in turn; a factor of one level has none."""
    rng = np.random.default_rng(8)
    cells: list[Cell] = [{"a": a, "b": b, "c": "only"} for a in range(3) for b in range(4) for _ in range(2)]
    values = rng.standard_normal((24, 6)) + np.array([cell["a"] for cell in cells])[:, None] - 1.0

    def share(signs: np.ndarray, name: str) -> float:
        scores, centre = signs.mean(axis=1), signs.mean()
        parts = [
            [score for cell, score in zip(cells, scores, strict=True) if cell[name] == level]
            for level in {cell[name] for cell in cells}
        ]
        between = sum(len(part) * (np.mean(part) - centre) ** 2 for part in parts)
        return float(between / ((scores - centre) ** 2).sum())

    effects = {effect.name: effect for effect in factor_effects(("a", "b", "c"), cells, values, 0.9)}
    assert set(effects) == {"a", "b"}
    for name, effect in effects.items():
        assert effect.share == pytest.approx(share(np.sign(values), name))
        left = [share(np.sign(np.delete(values, seed, axis=1)), name) for seed in range(6)]
        error = math.sqrt(5 / 6 * sum((one - np.mean(left)) ** 2 for one in left))
        half = stats.t(5).ppf(0.95) * error
        assert (effect.low, effect.high) == pytest.approx((effect.share - half, effect.share + half))


def test_no_scatter_has_no_factor() -> None:
    """Where all cells say the same there is nothing to account for."""
    cells: list[Cell] = [{"a": "x"}, {"a": "y"}]
    assert factor_effects(("a",), cells, np.ones((2, 3)), 0.95)[0].share == 0.0


def test_judged_as_its_parts() -> None:
    """Values, outcomes, factors and the paper's cell of one finding on made-up numbers."""
    table, finding = made_up_table(), findings()["more_shots_help"]
    judged = judge(finding, table)
    values = cell_values(finding, table)
    cells = list(finding.cells(table.grid))
    assert [outcome.cell for outcome in judged.cells] == cells
    assert [outcome.mean for outcome in judged.cells] == pytest.approx(values.mean(axis=1).tolist())
    assert judged.verdict == verdict_of([outcome.outcome for outcome in judged.cells], RULES)
    assert judged.paper_cell == judged.cells[cells.index(finding.paper_cell)]
    every: list[Outcome] = ["for", "against", "undecided"]
    assert sum(map(judged.count, every)) == len(cells)
    assert judge_values(finding, table.grid, values + 30).verdict == "HOLDS"
    assert judge_values(finding, table.grid, values - 30).verdict == "FAILS"


def test_false_alarms_of_a_grid_without_effect() -> None:
    """Values of mean 0: a twentieth of the cells decide by chance, half each way, which decides no finding."""
    rng, finding, full = np.random.default_rng(5), findings()["deep_layers_tolerate"], grid("full")
    count = len(list(finding.cells(full)))
    judged = judge_values(finding, full, rng.standard_normal((count, 16)))
    sides: list[Outcome] = ["for", "against"]
    for outcome in sides:
        rate = judged.count(outcome) / count
        assert abs(rate - 0.025) < 6 * math.sqrt(0.025 / count)
    assert judged.verdict == "INCONCLUSIVE"
