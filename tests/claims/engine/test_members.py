"""Members of an ensemble, cases of a run, and sets of prompts: they differ pairwise in their numbers, not in labels."""

import itertools
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from draws import assert_rows_differ, assert_uncorrelated, record
from helpers import random_matrices

import icl_theory as it
from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.profiles import Profile
from icl_theory.claims.order import LABELS
from icl_theory.claims.registry import load
from icl_theory.runs.bounds_config import SweepConfig
from icl_theory.runs.made_models import _weights
from icl_theory.tasks.laws import Uniform
from icl_theory.training.config import CheckedConfig
from icl_theory.training.ensemble import initial_weights
from icl_theory.training.prompt_sources import Pool, TokenSource
from icl_theory.training.train import train
from icl_theory.truncation.clipping_search import _Trial

TASK = it.LinearRegression(3, noise_std=0.2)
UNIFORM = it.LinearRegression(3, noise_std=0.2, inputs=Uniform())
SETTING: dict[str, Any] = {"layers": 2, "shots": 5, "steps": 24, "seeds": 3, "batch": 16}
PROFILE = Profile(seeds=3, samples=16, steps={1: 1, 3: 1}, scalar_samples=16, trained_seeds=4)


def drawn_by(task: it.Task, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> tuple[Any, list[dict]]:
    """First weights of a run and the prompts of its chunks; no step is taken, hence nothing is compiled."""
    start, chunks = [], []

    def keep(model: Any, state: Any, draws: dict, *_: Any) -> tuple:
        start.append(model)
        chunks.append(draws)
        return model, state, np.zeros(next(iter(draws.values())).shape[:2], np.float32)

    monkeypatch.setattr("icl_theory.training.train.run_chunk", keep)
    train(task, 0, **(SETTING | changes))
    return start[0], chunks


@pytest.mark.parametrize(
    ("task", "changes"),
    [(TASK, {}), (UNIFORM, {}), (TASK, {"kind": "softmax"}), (it.ReLUTeacher(3, 2, noise_std=0.1), {"heads": 2})],
    ids=["moments", "moments of tokens", "tokens", "another task"],
)
def test_prompts_are_new(task: it.Task, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Members, chunks, steps and prompts: no number is drawn twice, no prompt is seen twice, members differ."""
    recorder = record(monkeypatch)
    _, chunks = drawn_by(task, monkeypatch, **changes)
    assert recorder.repeated == 0
    assert len(chunks) > 5
    for name in chunks[0]:
        steps = np.concatenate([chunk[name] for chunk in chunks], axis=1)  # (seeds, steps, batch, ...)
        assert steps.shape[:3] == (3, sum(len(chunk[name][0]) for chunk in chunks), 16)
        prompts = steps.reshape(3 * steps.shape[1] * 16, -1)
        assert len(prompts) >= 3 * 24 * 16
        if prompts.shape[1] > 1:  # single float32 numbers, and labels of dead ReLU units, come again by chance
            assert len(np.unique(prompts, axis=0)) == len(prompts)
        tame = np.arctan(steps.reshape(3, -1, prompts.shape[1])[..., 0].astype(np.float64))  # no heavy tails
        for first, second in itertools.combinations(tame - tame.mean(), 2):
            assert_uncorrelated(first, second)


@pytest.mark.parametrize("changes", [{}, {"heads": 2}, {"hidden": 6}, {"tied": True}], ids=str)
def test_members_start_apart(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every random matrix of every member, layer and head is another one; only the label's entry is set."""
    model, _ = drawn_by(TASK, monkeypatch, **changes)
    value = model.value.reshape(-1, 16)
    assert len(value) == 3 * (1 if "tied" in changes else 2) * changes.get("heads", 1)
    assert_rows_differ(value[:, :-1])
    assert_rows_differ(model.key.reshape(-1, 16))
    if "hidden" in changes:
        assert_rows_differ(model.mlp_in.reshape(6, -1))
    other = initial_weights(
        np.random.default_rng(1),
        CheckedConfig(layers=2, shots=5, steps=24, seeds=3, batch=4, learning_rate=0.02),
        4,
    )
    assert not np.isin(other.value[..., :-1, :], model.value).any()


def test_finite_sets_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """All prompts of all sets differ; batches are drawn from the member's own set, differently in every step."""
    recorder = record(monkeypatch)
    pool = Pool(TokenSource(TASK, 5), np.random.default_rng(0), 3, 2, 4, False)
    assert recorder.repeated == 0
    sets = pool.prompts["x"].reshape(3, 8, -1)
    assert_rows_differ(sets.reshape(3 * 8, -1))
    query, label = (pool.prompts[name].reshape(6, 4, -1).astype(np.float64) for name in ("x_query", "y_query"))
    tasks = np.linalg.pinv(query) @ label  # clean labels of the four prompts of a task give its w away
    assert_rows_differ(tasks.round(4))
    rng, orders = np.random.default_rng(1), []
    draws = np.concatenate([pool.draw(rng, (3, 4, 6))["x"] for _ in range(2)], axis=1)
    for member, own in zip(draws.reshape(3, 48, -1), sets, strict=True):
        orders.append((member[:, None] == own).all(-1).argmax(1))
        np.testing.assert_array_equal(member, own[orders[-1]])
        assert len({tuple(step) for step in orders[-1].reshape(8, 6)}) == 8
    for first, second in itertools.combinations(orders, 2):
        assert (first == second).mean() < 0.5  # by chance one in eight


def test_members_differ() -> None:
    """Trained, and not only started, apart: losses of every step and every weight."""
    result = train(TASK, 0, layers=2, shots=7, steps=23, seeds=3, batch=8)
    assert_rows_differ(result.losses)
    start = initial_weights(np.random.default_rng(0), result.config, 4)
    for name in ("value", "key", "query"):
        after, before = getattr(result.models, name), getattr(start, name)
        read = slice(-1, None) if name == "value" else slice(None)  # of the last W_V nothing but the label's row
        for part in (after[:, 0], after[:, 1, read], after[:, 0] - before[:, 0], (after - before)[:, 1, read]):
            assert_rows_differ(part)


def test_disjoint_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Algorithm 1 chooses on one set and reports on another; candidates see the same ones."""
    kept: list[tuple] = []
    original = _Trial.__init__

    def init(self: Any, base: Any, prompts: tuple, *rest: Any) -> None:
        kept.append(prompts)
        original(self, base, prompts, *rest)

    monkeypatch.setattr(_Trial, "__init__", init)
    model = it.Model.create(*random_matrices(np.random.default_rng(1), 2, 3))
    it.search_clipping_rate(model, it.LinearRegression(2, noise_std=0.5), shots=4, prompts=200, key=3)
    ((validation, test),) = kept
    for name in ("x", "y", "x_query", "y_query"):
        assert_rows_differ(np.concatenate([getattr(validation, name), getattr(test, name)]))
        assert_uncorrelated(getattr(validation, name), getattr(test, name))


@pytest.fixture(scope="module")
def factory() -> CaseFactory:
    """A run whose ensembles are not trained: they stand at their initial weights."""
    found = CaseFactory(PROFILE, 3)

    def untrained(layers: int, hidden: int = 0, readout: Any = "minus") -> Any:
        config = CheckedConfig(
            layers=layers,
            shots=20,
            steps=1,
            seeds=PROFILE.trained_seeds,
            batch=1,
            learning_rate=0.1,
            init_scale=0.5,
            readout=readout,
            hidden=hidden,
        )
        return SimpleNamespace(
            config=config, models=initial_weights(np.random.default_rng([layers, hidden]), config, 6)
        )

    found.ensemble = untrained
    return found


def numbers(case: Case) -> tuple[bytes, ...]:
    return tuple(np.asarray(a).tobytes() for a in (case.task_vector, case.demonstrations))


def test_cases_differ(factory: CaseFactory) -> None:
    """Weights, task vectors, demonstrations and seeds of all cases; a truncated one shares the data of its source."""
    populations = [factory.trained_seeds(layers, hidden) for layers, hidden in ((1, 0), (3, 0), (3, 6))]
    cases = [*factory.one_layer, *factory.deep, *itertools.chain(*populations)]
    cases = list({id(case): case for case in cases}.values())
    assert len(cases) == 3 + 2 + 3 + 1 + 3 * 4
    assert_rows_differ([case.task_vector for case in cases])
    assert_rows_differ([case.demonstrations for case in cases])
    assert len({case.seed for case in cases}) == len(cases)
    for layers in (1, 3):
        drawn = [case for case in cases if case.kind == "random" and case.layers == layers]
        for name in ("value", "key", "query"):
            assert_rows_differ([getattr(case.model, name) for case in drawn])
            assert_rows_differ(np.concatenate([getattr(case.model, name) for case in drawn]))
    for population in populations:
        assert_rows_differ([case.model.key for case in population])
        assert_rows_differ([case.model.value[:, :-1] for case in population])
    sources = {numbers(case) for case in cases}
    assert {numbers(case) for case in factory.truncated} <= sources
    assert len({numbers(case) for case in factory.truncated}) == len(factory.truncated) == 6
    matrices = [np.concatenate([c.model.value, c.model.key, c.model.query]) for c in factory.standard()]
    assert len({m.tobytes() for m in matrices}) == len(matrices)


def test_other_run_other_cases(factory: CaseFactory) -> None:
    """Another run has other cases."""
    other = CaseFactory(PROFILE, 4)
    for layers in (1, 3):
        for make in ("random", "constructed"):
            first, second = getattr(factory, make)(layers), getattr(other, make)(layers)
            assert_rows_differ([case.demonstrations for case in (*first, *second)])
        assert_rows_differ([case.model.value for case in (*factory.random(layers), *other.random(layers))])


# Runs drawn from the seed alone; a forward pass that is chosen by the name.
MORE_TO_A_CASE = {"theorem_2_scalar": ("seed",), "repair_i_alone": ("seed",), "supersample_guarantee": ("name",)}


@pytest.mark.parametrize("label", LABELS)
def test_no_case_twice(label: str, factory: CaseFactory) -> None:
    """Two cases of a claim differ in weights, task or demonstrations."""
    described = []
    for case in load(label).cases(factory):
        besides = {"name", "kind", "seed"} - set(MORE_TO_A_CASE.get(label, ()))
        described.append(
            json.dumps({name: part for name, part in case.to_dict().items() if name not in besides}, sort_keys=True)
        )
    assert len(set(described)) == len(described) > 0


def test_random_models_differ() -> None:
    """Random models of a sweep differ."""
    config = SweepConfig(model="random", dim=2, layers=2, seeds=3, seed=5)
    model, _ = _weights(config, it.LinearRegression(2), lambda *_: None)
    assert_rows_differ(model.value)
    assert_rows_differ(np.concatenate([model.value, model.key, model.query]).reshape(-1, 9))
