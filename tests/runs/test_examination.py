"""Claims examined by two processes: the same outcomes as by one, also where the second cannot finish."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ledger import EQUAL

from icl_theory import LinearRegression
from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.case_settings import CaseSettings
from icl_theory.claims.engine.claim import Claim
from icl_theory.claims.engine.examine import Outcome, examine
from icl_theory.claims.engine.profiles import Profile
from icl_theory.claims.engine.trained_ensembles import NotReady
from icl_theory.claims.record import record
from icl_theory.claims.registry import load, load_all, subject_of
from icl_theory.records.documents import to_plain
from icl_theory.runs import examination, second_process, verify
from icl_theory.runs.examination import examine_all
from icl_theory.runs.second_process import SecondProcess
from icl_theory.training.ensemble_cache import EnsembleCache

SMALL = Profile(seeds=2, samples=64, steps={1: 30, 3: 30}, scalar_samples=1000, trained_seeds=2)
LABELS = (
    "truncation_norm_value",
    "marchenko_pastur",
    "lemma_1",
    "trained_descends",
    "truncation_norm_key",
    "mask_matrix",
)
OWN = replace(EQUAL, label="passed", proof=None)


def records(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    made = [to_plain(record(outcome)) for outcome in outcomes]
    return [{name: value for name, value in claim.items() if name != "seconds"} for claim in made]


def one(claims: list[Claim], seed: int = 5) -> list[dict[str, Any]]:
    with closing(CaseFactory(SMALL, seed)) as factory:
        return records([examine(claim, factory) for claim in claims])


@pytest.fixture
def factory(tmp_path: Path) -> Iterator[CaseFactory]:
    with closing(CaseFactory(SMALL, 5, cache=EnsembleCache(tmp_path))) as made:
        yield made


def test_subjects() -> None:
    """The labels of these tests lie on both sides."""
    sides = {subject_of(label) in examination.SECOND for label in LABELS}
    assert sides == {True, False}


def test_same_as_one(factory: CaseFactory, tmp_path: Path) -> None:
    """Order, evidence, controls and certificates; the second process has examined some, of seed and profile given."""
    claims = [*load_all(LABELS), OWN]
    asked: list[str] = []
    with closing(SecondProcess(SMALL, 5, tmp_path, 6.0, CaseSettings())) as second:
        usual = second.examine
        second.examine = lambda label: asked.append(label) or usual(label)  # type: ignore[method-assign]
        found = examine_all(claims, factory, 6.0, None, second)
    assert records(found) == one(claims)
    assert set(asked) & set(LABELS)
    assert "passed" not in asked
    assert all(outcome.seconds >= 0 for outcome in found)


def test_settings_reach_it(tmp_path: Path) -> None:
    """Seed, profile and standard errors are those of the run."""
    for seed in (5, 6):
        with closing(SecondProcess(SMALL, seed, tmp_path, 6.0, CaseSettings())) as second:
            outcome = second.examine("lemma_3")  # of random weights, which need no training
        assert outcome is not None
        assert records([outcome]) == one([load("lemma_3")], seed)
    assert one([load("lemma_3")], 5) != one([load("lemma_3")], 6)


def test_standard_errors_reach_it(monkeypatch: pytest.MonkeyPatch, factory: CaseFactory) -> None:
    """So do the standard errors, on either side."""
    asked: list[float] = []

    def noted(claim: Claim, factory: CaseFactory, *, z: float) -> Outcome:
        asked.append(z)
        return examine(claim, factory, z=z)

    for module in (second_process, examination):
        monkeypatch.setattr(module, "examine", noted)
    assert second_process._examined("lemma_3", factory, 4.5) is not None
    examine_all([OWN], factory, 3.5, None)
    assert asked == [4.5, 3.5]


def test_ensembles_that_are_not_there(tmp_path: Path) -> None:
    """It trains nothing: the claim waits until the first process has kept what it needs."""
    with closing(SecondProcess(SMALL, 5, tmp_path, 6.0, CaseSettings())) as second:
        assert second.examine("trained_descends") is None
        with closing(CaseFactory(SMALL, 5, cache=EnsembleCache(tmp_path))) as factory:
            expected = examine(load("trained_descends"), factory)
        found = second.examine("trained_descends")
    assert found is not None
    assert records([found]) == records([expected])


class Gone:
    """A second process that ends after so many answers."""

    def __init__(self, answers: int) -> None:
        self._left = answers
        self.asked: list[str] = []

    def examine(self, label: str) -> Outcome | None:
        self.asked.append(label)
        self._left -= 1
        if self._left < 0:
            raise EOFError
        with closing(CaseFactory(SMALL, 5)) as factory:
            return examine(load(label), factory)


@pytest.mark.parametrize("answers", [0, 1, 2])
def test_a_process_that_is_gone(factory: CaseFactory, answers: int) -> None:
    """What it has not finished, the first process does."""
    claims = load_all(LABELS)
    second: Any = Gone(answers)
    assert records(examine_all(claims, factory, 6.0, None, second)) == one(claims)
    assert len(second.asked) <= answers + 1


def test_late_claims(factory: CaseFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim whose models are not there comes last, and is examined once they are."""
    order: list[str] = []
    usual = examine

    def noted(claim: Claim, factory: CaseFactory, **options: Any) -> Outcome:
        order.append(claim.label)
        if claim.label == "first" and not factory.ensembles.wait:
            raise NotReady("one layer")
        return usual(claim, factory, **options)

    monkeypatch.setattr(examination, "examine", noted)
    said: list[tuple[str, int, int]] = []
    claims = [replace(OWN, label=label) for label in ("first", "second", "third")]
    found = examine_all(claims, factory, 6.0, lambda *words: said.append(words))
    assert order == ["first", "second", "third", "first"]
    assert [outcome.claim.label for outcome in found] == ["first", "second", "third"]
    assert said == [("first", 0, 3), ("second", 0, 3), ("third", 1, 3), ("first", 2, 3), ("all claims examined", 3, 3)]


class OwnTask(LinearRegression):
    """A task of a user's."""


def test_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two for many claims where there are processors for them; the record is the same, and a number is checked."""
    made: list[int] = []

    class Counted(SecondProcess):
        def __init__(self, *given: Any) -> None:
            made.append(1)
            super().__init__(*given)

    monkeypatch.setattr(verify, "SecondProcess", Counted)
    labels = ["truncation_norm_key", "mask_matrix", "truncation_norm_value"]
    first = verify.verify(labels, cache=False).records
    assert made == []
    second = verify.verify(labels, processes=2, cache=False).records
    assert made == [1]
    drop = ("seconds",)
    for document in (first, second):
        for claim in document["claims"]:
            claim.pop("seconds")
    assert json.dumps({k: v for k, v in first.items() if k not in drop}) == json.dumps(
        {k: v for k, v in second.items() if k not in drop}
    )
    monkeypatch.setattr(verify, "FEWEST_FOR_TWO", 3)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert verify._processes([(load(label), None) for label in labels], CaseSettings()) == 2
    assert verify._processes([(load(labels[0]), None), (OWN, None), (OWN, None)], CaseSettings()) == 1
    own = CaseSettings(task=OwnTask(3))  # whose class the second process does not have
    assert verify._processes([(load(label), None) for label in labels], own) == 1
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert verify._processes(None, CaseSettings()) == 1
    with pytest.raises(ValueError, match="processes: got 3"):
        verify.verify(labels, processes=3)


def test_put_off_from_both_sides() -> None:
    """Claims are put off and taken up by two threads at once; none is lost, and none is taken twice."""
    work, taken = examination._Work([], two=False), list[str]()

    def put() -> None:
        for number in range(500):
            work.put_off(replace(OWN, label=f"late_{number}"))

    def take(second: bool) -> None:
        while len(taken) < 500:
            claim = work.waiting(second=second)
            if claim is not None:
                taken.append(claim.label)

    threads = [threading.Thread(target=put), threading.Thread(target=take, args=(False,))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(taken) == sorted(f"late_{number}" for number in range(500))
    assert work.waiting(second=True) is None
