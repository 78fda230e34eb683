"""`recheck` of a file: confirmed only if the rebuilt case, or the interval over all seeds, breaks the statement."""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import here, red_baseline
from helpers import error_message
from laws import Silent
from ledger import EQUAL
from small_case import case

from icl_theory import Estimate, LinearRegression
from icl_theory.claims import recheck as verifying
from icl_theory.claims.engine import counterexample
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.check import check
from icl_theory.claims.engine.claim import Assumption, Claim, Verdict
from icl_theory.claims.engine.examine import _counterexamples
from icl_theory.claims.recheck import recheck

Known = Callable[[Claim], None]


def value(case: Case) -> float:
    return float(case.model.value[0, 0, 0])


CLAIM = replace(
    EQUAL,
    label="small",
    relation="at most",
    measure=value,
    predict=lambda c: 1.0,
    assumptions=(),
    controls=(),
    proof=None,
)
ESTIMATED = replace(CLAIM, measure=lambda c: Estimate(value(c), 0.1, 100, "unbiased"))
POPULATION = replace(CLAIM, over_seeds=True)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Known:
    """Makes a claim the one that files of "small" are about."""

    def put(claim: Claim) -> None:
        monkeypatch.setattr(verifying, "load", lambda label: claim if label == "small" else pytest.fail(label))

    return put


def written(claim: Claim, *cases: Case) -> dict[str, Any]:
    """The document of a counterexample, as it comes back from a file."""
    made = counterexample.counterexample(claim, cases[0], check(claim, cases[0]), cases[1:])
    return json.loads(json.dumps(made, allow_nan=False))


def one_line(tmp_path: Path, document: Any) -> tuple[int, str]:
    """Exit status and words of the command on a document."""
    file = tmp_path / "counterexample.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    done = here("recheck", str(file))
    assert done.stderr == ""
    as_json = here("recheck", str(file), "--json")
    found = json.loads(as_json.stdout)
    assert as_json.returncode == done.returncode == (0 if found["confirmed"] else 1)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("claim", "number", "status", "verdict"),
    [
        (CLAIM, 1.5, 0, "FAILS"),
        (CLAIM, 0.5, 1, "HOLDS"),
        (CLAIM, 1.0, 1, "HOLDS"),
        (ESTIMATED, 1.65, 0, "FAILS"),  # 6.5 standard errors
        (ESTIMATED, 1.55, 1, "INCONCLUSIVE"),  # 5.5 of them
        (ESTIMATED, 0.45, 1, "INCONCLUSIVE"),
        (replace(CLAIM, relation="at least"), 1.5, 1, "HOLDS"),
        (replace(CLAIM, assumptions=(Assumption("it rains", lambda c: False),)), 1.5, 1, "OUTSIDE"),
        (replace(CLAIM, assumptions=(Assumption("pigs fly", lambda c: False, lambda c: False),)), 1.5, 1, "VACUOUS"),
        (replace(CLAIM, measure=lambda c: np.nan), 1.5, 1, "NONFINITE"),
    ],
)
def test_only_failures_confirmed(
    known: Known, tmp_path: Path, claim: Claim, number: float, status: int, verdict: str
) -> None:
    """Only what fails is confirmed."""
    known(claim)
    document = written(replace(CLAIM, assumptions=()), case(number))
    found = recheck(document)
    assert (found.confirmed, found.evidence.verdict, found.over_seeds) == (status == 0, verdict, None)
    code, words = one_line(tmp_path, document)
    assert code == status
    assert ("NOT confirmed" in words) == (status == 1)
    assert f"seed 0: {verdict}" in words


def test_recorded_is_not_believed(known: Known) -> None:
    """Verdict and numbers come from the case alone; it is the one that was written down."""
    known(CLAIM)
    document = written(CLAIM, case(1.5))
    assert (document["measured"], document["predicted"]) == (1.5, 1.0)
    lying = document | {"measured": -9.0, "predicted": 9.0, "statement": "1 = 1", "relation": "at least"}
    assert recheck(lying) == recheck(document)
    assert recheck(document).evidence == check(CLAIM, case(1.5))
    changed = copy.deepcopy(document)
    changed["case"]["model"]["value"] = [[[0.5]]]
    assert not recheck(changed).confirmed


@pytest.mark.parametrize(
    ("exact", "says", "confirmed", "number"),
    [
        (None, True, True, 1.5),
        ({"scale": 2}, True, True, 1.5),
        ({"scale": 2}, False, False, 1.5),
        ({"scale": 2}, True, False, 0.5),
    ],
)
def test_exact_part_must_break_it(
    known: Known, tmp_path: Path, exact: Any, says: bool, confirmed: bool, number: float
) -> None:
    """The exact counterexample has to break it too."""
    seen: list[Any] = []
    known(replace(CLAIM, verify_exact=lambda found: seen.append(found) or says))
    document = written(CLAIM, case(number)) | {"exact": exact}
    found = recheck(document)
    assert (found.exact, found.confirmed) == (None if exact is None else says, confirmed)
    assert seen == ([] if exact is None else [exact])
    code, words = one_line(tmp_path, document)
    assert code == (0 if confirmed else 1)
    assert ("breaks the statement" in words, "keeps the statement" in words) == (
        exact is not None and says,
        exact is not None and not says,
    )


@pytest.mark.parametrize(
    ("values", "verdict", "against"),
    [
        ((1.5, *[0.5, 0.49, 0.51] * 5), Verdict.HOLDS, 1),  # the first seed alone fails
        ((0.5, *[1.5, 1.49, 1.51] * 5), Verdict.FAILS, 15),  # the first seed alone holds
        ((1.5, 1.51, 1.49, 1.52), Verdict.FAILS, 4),
        ((1.5, 0.5, 1.6, 0.6, 1.1), Verdict.INCONCLUSIVE, 3),
        ((1.5,), None, 1),  # one seed is no population
    ],
)
def test_interval_decides(
    known: Known, tmp_path: Path, values: Sequence[float], verdict: Verdict | None, against: int
) -> None:
    """The interval over the seeds decides."""
    known(POPULATION)
    document = written(POPULATION, *(case(number, seed) for seed, number in enumerate(values)))
    assert [other["seed"] for other in document["others"]] == list(range(1, len(values)))
    found = recheck(document)
    assert found.confirmed == (verdict == Verdict.FAILS)
    code, words = one_line(tmp_path, document)
    assert code == (0 if verdict == Verdict.FAILS else 1)
    if verdict is None:
        assert found.over_seeds is None
        return
    assert found.over_seeds is not None
    assert (found.over_seeds.verdict, found.over_seeds.seeds) == (verdict, len(values))
    assert (found.over_seeds.seeds_for, found.over_seeds.seeds_against) == (len(values) - against, against)
    assert found.over_seeds.mean == pytest.approx(1 - np.mean(values), rel=1e-12)
    assert f"{len(values)} seeds rebuilt: {len(values) - against} for, {against} against" in words


def test_strongest_case_is_kept() -> None:
    """Of a population it is the first, and all other seeds come behind it."""
    cases = [case(number, seed) for seed, number in enumerate((1.2, 0.7, 1.9, 1.5, 1.6))]
    [found] = _counterexamples(ESTIMATED, cases, [check(ESTIMATED, one) for one in cases])
    assert (found["case"], found["others"]) == (cases[2].to_dict(), [])
    assert (found["measured"], found["predicted"], found["stderr"]) == (1.9, 1.0, 0.1)
    assert (found["claim"], found["statement"], found["relation"]) == (
        "small",
        CLAIM.statement.replace("$", ""),
        "at most",
    )
    cases = [case(number, seed) for seed, number in enumerate((1.4, 1.6, 1.5, 1.45, 1.55))]
    [found] = _counterexamples(POPULATION, cases, [check(POPULATION, one) for one in cases])
    assert found["case"]["seed"] == 1
    assert [other["seed"] for other in found["others"]] == [0, 2, 3, 4]
    assert _counterexamples(CLAIM, [case(0.5)], [check(CLAIM, case(0.5))]) == []


def test_unwritable_task(known: Known, tmp_path: Path) -> None:
    """The run goes on; the file keeps the numbers, and a recheck says in one sentence what it cannot do."""
    known(CLAIM)
    own = replace(case(1.5), task=LinearRegression(1, inputs=Silent()))
    [found] = _counterexamples(CLAIM, [own], [check(CLAIM, own)])
    document = json.loads(json.dumps(found, allow_nan=False))
    assert (document["measured"], document["case"]["task"].keys()) == (1.5, {"unwritten"})
    assert "task: got no task, since LinearRegression to be written down" in error_message(recheck, document)
    file = tmp_path / "file.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    assert "Silent" in red_baseline(here("recheck", str(file)))


def test_file_without_others(known: Known) -> None:
    """Seeds of a file without others are no population."""
    known(POPULATION)
    document = written(POPULATION, case(1.5, 0), case(1.51, 1), case(1.52, 2), case(1.49, 3))
    assert recheck(document).confirmed
    del document["others"]
    assert not recheck(document).confirmed


DAMAGED: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda d: d.update(format=1), "another kind"),
    (lambda d: d.update(format="1"), "another kind"),
    (lambda d: d.pop("claim"), "another kind"),
    (lambda d: d.pop("case"), "another kind"),
    (lambda d: d.pop("exact"), "another kind"),
    (lambda d: d.update(claim=5), "claim: got int, expected a label"),
    (lambda d: d.update(claim=None), "claim: got NoneType"),
    (lambda d: d.update(claim=["small"]), "claim: got list"),
    (lambda d: d.update(case=5), "case: got int"),
    (lambda d: d.update(case=[]), "case: got list"),
    (lambda d: d.update(exact=5), "exact: got int"),
    (lambda d: d.update(exact="x"), "exact: got str"),
    (lambda d: d.update(exact={"scale": 2}), "exact: got a counterexample, expected none"),
    (lambda d: d.update(others={"0": d["case"]}), "others: got dict"),
    (lambda d: d.update(others=[5]), "case: got int"),
    (lambda d: d["case"].pop("model"), "'model'"),
    (lambda d: d["case"].update(model=5), "case: got"),
    (lambda d: d["case"]["model"].update(value="x"), "model.value"),
    (lambda d: d["case"]["model"].update(value=[[1, 2]]), "model.value"),
    (lambda d: d["case"]["model"].update(other=[[[1]]]), "case: got"),
    (lambda d: d["case"].update(task=5), "task or law: got 5"),
    (lambda d: d["case"]["task"].pop("type"), "an object with a type"),
    (lambda d: d["case"]["task"].update(type="os.path"), "'os.path'"),
    (lambda d: d["case"]["task"].update(type="Gaussian"), "'Gaussian'"),
    (lambda d: d["case"]["task"].update(extra=1), "extra"),
    (lambda d: d["case"].update(task={"unwritten": "it was a secret"}), "it was a secret"),
    (lambda d: d["case"]["task"].update(dim="one"), "dim"),
    (lambda d: d["case"]["task"].update(inputs="student"), "inputs"),
    (lambda d: d["case"].update(seed="0"), "seed of the case"),
    (lambda d: d["case"].update(seed=-1), "seed of the case"),
    (lambda d: d["case"].update(shots=None), "shots of the case"),
    (lambda d: d["case"].update(shots=True), "shots of the case"),
    (lambda d: d["case"].update(shots=0), "shots of the case"),
    (lambda d: d["case"].update(samples=2.5), "samples of the case"),
    (lambda d: d["case"].update(task_vector="one"), "task_vector of the case"),
    (lambda d: d["case"].update(task_vector=[["a"]]), "task_vector of the case"),
    (lambda d: d["case"].update(demonstrations=[[1.0], [2.0, 3.0]]), "demonstrations of the case"),
    (lambda d: d["case"].update(demonstrations=[["nan"]]), "demonstrations of the case"),
    (lambda d: d["case"].update(demonstrations={}), "demonstrations of the case"),
]


@pytest.mark.parametrize("number", range(len(DAMAGED)))
def test_defective_file(known: Known, tmp_path: Path, number: int) -> None:
    """A file with a defect is bad input in one line."""
    damage, words = DAMAGED[number]
    known(POPULATION)  # so that the others are read
    document = written(POPULATION, case(1.5), case(1.6, 1), case(1.7, 2))
    damage(document)
    assert words in error_message(recheck, document)
    file = tmp_path / "counterexample.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    assert words in red_baseline(here("recheck", str(file)))


def test_unmeasurable_case(known: Known) -> None:
    """A case that the check cannot measure is bad input."""
    known(replace(CLAIM, measure=lambda c: c.model.value[1]))
    message = error_message(recheck, written(CLAIM, case(1.5)))
    assert message.startswith("case: got IndexError")
    assert "from the check of 'small', expected a case of this claim" in message


@pytest.mark.parametrize("error", [KeyError("tokens"), ZeroDivisionError(), ValueError("x"), AttributeError("y")])
def test_defective_exact_part(known: Known, error: Exception) -> None:
    """An exact part with a defect is bad input."""

    def broken(_: dict[str, Any]) -> bool:
        raise error

    known(replace(CLAIM, verify_exact=broken))
    assert "exact: got a defect at" in error_message(recheck, written(CLAIM, case(1.5)) | {"exact": {}})


def test_unknown_claim(tmp_path: Path) -> None:
    """An unknown claim is bad input."""
    (tmp_path / "file.json").write_text(json.dumps(written(CLAIM, case(1.5))), encoding="utf-8")
    assert "claims: got 'small', expected the label of a claim" in red_baseline(
        here("recheck", str(tmp_path / "file.json"))
    )


def test_byte_order_mark(known: Known, tmp_path: Path) -> None:
    """Some editors put one there."""
    known(CLAIM)
    (tmp_path / "file.json").write_text(json.dumps(written(CLAIM, case(1.5))), encoding="utf-8-sig")
    assert here("recheck", str(tmp_path / "file.json")).returncode == 0
