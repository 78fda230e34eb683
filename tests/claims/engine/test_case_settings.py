"""Claims in settings of the user's: what is made there, what each claim is about, and what is refused."""

import functools
import gc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from icl_theory import LinearRegression, Model, random_weights, verify
from icl_theory.claims import Assumption, Case, CaseFactory, CaseSettings, Claim, Control, Verdict, examine
from icl_theory.claims.engine import case_settings
from icl_theory.claims.engine.check import check
from icl_theory.claims.engine.expected_verdicts import expected_verdict
from icl_theory.claims.engine.profiles import Profile
from icl_theory.claims.registry import load, load_all
from icl_theory.information.ladder.bound_ladder import ladder_of
from icl_theory.information.ladder.noisy_trajectory import Batches
from icl_theory.information.ladder.setting import Setting
from icl_theory.tasks import LinearClassification, ReLUTeacher, SparseLinearRegression, Uniform

USUAL = CaseSettings()
DATA = {"model", "task", "task_vector", "demonstrations", "ladder", "ladders", "shots"}


def model(layers: int = 2, dim: int = 3, **options: Any) -> Model:
    """Random weights of a user's."""
    return random_weights(7, layers=layers, token_dim=dim + 1, scale=0.6).replace(**options)


def outcome(label: str, settings: CaseSettings) -> Any:
    """What `examine` finds of one of our claims."""
    return examine(load(label), CaseFactory("quick", 0, settings=settings))


def test_usual_settings() -> None:
    """Where verdicts are known: the defaults, whoever states them, and nothing else."""
    assert USUAL.usual
    assert CaseSettings(task=LinearRegression(5, np.eye(5), noise_std=0.5), layers=3, shots=20).usual
    for other in (
        CaseSettings(layers=2),
        CaseSettings(shots=19),
        CaseSettings(task=LinearRegression(4, noise_std=0.5)),
        CaseSettings(task=LinearRegression(5, noise_std=0.4)),
        CaseSettings(task=SparseLinearRegression(5, noise_std=0.5, nonzero=5)),
        CaseSettings(task=LinearRegression(5, noise_std=0.5, inputs=Uniform())),
        CaseSettings(model=model(3, 5)),
    ):
        assert not other.usual
    assert USUAL.lacking(("cases of its own", "3 layers", "20 demonstrations", "Gaussian tokens")) == ""


@pytest.mark.parametrize(
    ("requirement", "unmet"),
    [
        ("linear regression", CaseSettings(task=ReLUTeacher(3, 4))),
        ("Gaussian tokens", CaseSettings(task=LinearRegression(5, noise_std=0.5, inputs=Uniform()))),
        ("isotropic inputs and tasks", CaseSettings(task=LinearRegression(2, np.diag([1.0, 2.0])))),
        ("isotropic inputs and tasks", CaseSettings(task=LinearRegression(2, task_covariance=np.diag([1.0, 2.0])))),
        ("token covariance of full rank", CaseSettings(task=LinearRegression(5))),
        ("token covariance of full rank", CaseSettings(task=LinearRegression(2, np.diag([1.0, 0.0]), noise_std=1.0))),
        ("5 input dimensions", CaseSettings(task=LinearRegression(4, noise_std=0.5))),
        ("20 demonstrations", CaseSettings(shots=21)),
        ("3 layers", CaseSettings(layers=2)),
        ("no model but its own", CaseSettings(model=model(3, 5))),
        ("cases of its own", CaseSettings(layers=2)),
    ],
)
def test_requirements(requirement: case_settings.Requirement, unmet: CaseSettings) -> None:
    """Each is met in the usual settings, and not in those that differ there."""
    assert USUAL.lacking((requirement,)) == ""
    assert requirement in unmet.lacking((requirement,))


def test_cases_of_other_settings() -> None:
    """Task, depth and number of demonstrations of every case, and of what its ladder is computed at."""
    task = LinearRegression(3, noise_std=0.2)
    factory = CaseFactory("quick", 0, settings=CaseSettings(task=task, layers=2, shots=12))
    assert factory.depth == 2
    for case in [*factory.random(1), *factory.random(factory.depth), *factory.constructed(factory.depth)]:
        assert (case.task, case.demonstrations.shape, case.shots) == (task, (12, 4), 6)
        assert (case.ladder_demonstrations, case.ladder_shots) == (48, 12)
        assert Case.from_dict(case.to_dict()).ladder_shots == 12
    assert {case.layers for case in factory.random(factory.depth)} == {2}
    assert factory.recipe(1).config.shots == 12
    case = factory.random(1)[0]
    setting = Setting(case.model, task, case.task_vector, 48, 12)
    again = ladder_of(setting, Batches(setting, case.seed, case.samples), 4.0, 256)
    assert again.information["gaussian"].value == case.ladder().information["gaussian"].value


def test_cases_of_a_model() -> None:
    """The model under several draws of data, each member of an ensemble, and truncations of its last layer."""
    own = model(2, 3)
    settings = CaseSettings(task=LinearRegression(3, noise_std=0.5), model=own)
    factory = CaseFactory("quick", 0, settings=settings)
    given = factory.random(factory.depth)
    assert settings.layers == 2
    assert len(given) == factory.profile.seeds
    assert all(np.array_equal(case.model.value, own.value) for case in given)
    assert len({case.demonstrations.tobytes() for case in given}) == len(given)
    assert [case.kind for case in factory.standard()] == ["given"] * len(given) + ["truncated"] * 6
    for case in factory.truncated:
        assert np.array_equal(case.model.value[0], own.value[0])
        assert np.array_equal(case.model.key[0], own.key[0])
        last = [getattr(case.model, name)[1] for name in ("value", "key", "query")]
        assert min(np.linalg.matrix_rank(matrix, rtol=1e-9) for matrix in last) < 4
    for made in (factory.random(1), factory.constructed(2), factory.trained(2), factory.constructed(1)[1:]):
        assert made == []
    with pytest.raises(case_settings.OutsideSettings, match="constructed models"):
        factory.constructed(2)[0]
    twice = Model(*(np.stack([matrix, 2 * matrix]) for matrix in (own.value, own.key, own.query)))
    both = CaseFactory("quick", 0, settings=CaseSettings(task=settings.task, model=twice)).random(2)
    assert {float(case.model.value[0, 0, 0] / own.value[0, 0, 0]) for case in both} == {1.0, 2.0}


def test_outside() -> None:
    """A claim that needs what the settings lack says so, has no numbers, and does not make the run unsound."""
    one = CaseSettings(task=LinearRegression(3, noise_std=0.5), model=model(1, 3))
    for label, reason in (
        ("span_of_change", "models with several layers"),
        ("trained_descends", "models trained here"),
        ("lemma_3", "cases of its own"),
        ("gap_one_step", "no model but its own"),
    ):
        found = outcome(label, one)
        assert found.verdict == Verdict.OUTSIDE
        assert reason in found.evidence[0].note
        assert (found.controls, found.counterexamples, found.sound, found.expected) == ([], [], True, None)
    holds = outcome("lemma_1", one)
    assert (holds.verdict, holds.sound, {item.case[:10] for item in holds.evidence}) == ("HOLDS", True, {"your model"})
    assert outcome("theorem_1_printed", CaseSettings(layers=1)).verdict == Verdict.HOLDS  # with one layer it is true
    assert outcome("theorem_1_printed", CaseSettings(layers=2)).flip is None


def test_cases_that_ask_for_none() -> None:
    """A claim whose cases do not come from the factory is outside, whatever it requires; in the usual settings not."""
    one = CaseFactory("quick", 0).random(1)[0]
    claim = Claim(
        source="definition",
        statement="$1 ≤ 2$",
        origin="new",
        relation="at most",
        measure=lambda case: 1.0,
        predict=lambda case: 2.0,
        cases=lambda factory: [one],
        controls=(Control("3", measure=lambda case: 3.0), Control("4", measure=lambda case: 4.0)),
    )
    assert examine(claim, CaseFactory("quick", 0)).verdict == Verdict.HOLDS
    none = replace(claim, cases=lambda factory: [])
    for settings in (None, CaseSettings(layers=2)):
        assert examine(none, CaseFactory("quick", 0, settings=settings)).verdict == Verdict.ERROR
    found = examine(claim, CaseFactory("quick", 0, settings=CaseSettings(layers=2)))
    assert (found.verdict, found.evidence[0].note) == (Verdict.OUTSIDE, "its cases are its own, whatever the settings")


def test_controls_elsewhere() -> None:
    """In other settings one control must be caught; those that need something else are left out."""

    def claim(*controls: Control) -> Claim:
        return Claim(
            source="definition",
            statement="$b < N$",
            origin="new",
            relation="at most",
            measure=lambda case: float(case.shots),
            predict=lambda case: float(len(case.demonstrations)),
            cases=lambda factory: factory.random(1),
            controls=controls,
        )

    two = CaseFactory("quick", 0, settings=CaseSettings(layers=2))
    caught = Control("a sign", measure=lambda case: 100.0)
    idle = Control("no change", measure=lambda case: 1.0)
    deep = Control("another", assumptions=(Assumption("never", holds=lambda case: False),))
    assert not examine(claim(caught, idle), CaseFactory("quick", 0)).sound
    found = examine(claim(caught, idle, deep), two)
    assert [(item.name, item.caught) for item in found.controls] == [("a sign", True), ("no change", False)]
    assert found.sound
    assert not examine(claim(idle, deep), two).sound
    assert not examine(claim(deep), two).sound


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layers": 0}, "layers: got 0"),
        ({"shots": 1}, "shots: got 1"),
        ({"model": model(1, 3)}, "token dimension 4, expected token dimension 6"),
        ({"model": model(1, 5, kind="softmax")}, "a model with softmax attention"),
        ({"model": model(1, 5, mask="causal")}, "a causal mask"),
        ({"model": model(1, 5, normalization="sum")}, "a sum instead of a mean"),
        ({"model": model(1, 5, readout="plus")}, "a readout with a plus"),
        ({"model": model(1, 5).with_heads()}, "an axis of heads"),
        ({"model": model(1, 5, mlp_in=np.ones((1, 2, 6)), mlp_out=np.ones((1, 6, 2)))}, "an MLP"),
        ({"model": "weights.npz"}, "got a str, expected a Model"),
    ],
)
def test_refused(options: dict[str, Any], said: str) -> None:
    """Sizes out of range, and models that the claims were not written for."""
    with pytest.raises(ValueError, match=said):
        CaseSettings(**options)


def test_verify_settings() -> None:
    """The records say in which settings; a sweep is of the usual ones only."""
    settings = CaseSettings(task=LinearClassification(3), layers=2, shots=10)
    found = verify(["lemma_1", "mean_inequality"], settings=settings)
    assert [claim["verdict"] for claim in found.records["claims"]] == ["HOLDS", "OUTSIDE"]
    assert found.records["settings"]["words"] == "LinearClassification, d_x = 3, L = 2, N = 10"
    assert found.records["claims"][0]["expected"] is None
    assert verify(["lemma_1"]).records["settings"] is None
    with pytest.raises(ValueError, match=r"sweep: got settings of yours"):
        verify(["lemma_1"], settings=settings, sweep=True)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The attributes of cases that are looked at."""
    seen: set[str] = set()

    def look(self: Case, name: str) -> Any:
        seen.add(name)
        return object.__getattribute__(self, name)

    monkeypatch.setattr(Case, "__getattribute__", look, raising=False)
    return seen


@pytest.mark.slow
def test_stated_requirements(watched: set[str]) -> None:
    """A claim that looks at no data has cases of its own; one that looks at a task's law is about some law."""
    factory = CaseFactory("quick", 0)
    for claim in load_all():
        if claim.over_seeds or claim.finding:
            continue
        cases = claim.cases(factory)
        for cached in gc.get_objects():  # what another claim has computed is no longer looked at
            if isinstance(cached, functools._lru_cache_wrapper) and "icl_theory.claims" in str(cached.__module__):
                cached.cache_clear()
        watched.clear()
        check(claim, cases[0])
        if not watched & DATA and not claim.requires:
            raise AssertionError(f"{claim.label} looks at nothing and requires nothing")
        if watched & {"task", "task_vector", "ladder"}:
            assert claim.requires, claim.label


OTHERS = {
    "dimension and shots": CaseSettings(task=LinearRegression(4, noise_std=0.3), shots=16),
    "depth": CaseSettings(layers=2),
    "covariances": CaseSettings(
        task=LinearRegression(5, np.diag([2.0, 1.0, 0.5, 0.3, 1.0]), np.diag([1.0, 2.0, 1.0, 0.5, 1.0]), noise_std=0.5)
    ),
    "no label noise": CaseSettings(task=LinearRegression(5)),
    "uniform": CaseSettings(task=LinearRegression(5, noise_std=0.5, inputs=Uniform())),
    "relu": CaseSettings(task=ReLUTeacher(5, 10, noise_std=0.5)),
    "classes": CaseSettings(task=LinearClassification(5)),
    "a deep model": CaseSettings(model=random_weights(11, layers=4, token_dim=6, scale=0.7)),
}


SMALL = Profile(seeds=2, samples=64, steps={1: 1000, 3: 50}, scalar_samples=1000, trained_seeds=2)
"""One layer trained to its optimum, which some statements are about; several layers for fifty steps, which none is."""


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_exact_statements_elsewhere(name: str) -> None:
    """What is exact and true stays true wherever a claim takes itself to be covered; nothing ends in an error."""
    factory = CaseFactory(SMALL, 0, settings=OTHERS[name])
    for claim in load_all():
        if claim.over_seeds:
            continue
        result = examine(replace(claim, controls=(), proof=None), factory)
        assert result.verdict not in (Verdict.ERROR, Verdict.NONFINITE), (claim.label, result.evidence)
        if result.verdict == Verdict.FAILS and not any(item.stderr for item in result.evidence):
            assert expected_verdict(claim.label) == "FAILS", (claim.label, result.evidence)
    factory.close()
