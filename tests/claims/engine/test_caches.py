"""Whatever is kept is kept under everything that determines it: one changed argument, another result."""

from collections.abc import Callable
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from icl_theory import LinearRegression, TrainConfig, random_weights
from icl_theory.claims.engine import cases as making
from icl_theory.claims.engine import trained_ensembles
from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.profiles import PROFILES
from icl_theory.claims.engine.trained_ensembles import Recipe, TrainedEnsembles
from icl_theory.claims.quantities import prompt_errors
from icl_theory.claims.truncation import truncation_information
from icl_theory.information.estimators.known_channels import scalar_law
from icl_theory.information.ladder.noisy_trajectory import Batches, Draws, draw
from icl_theory.information.ladder.setting import Setting
from icl_theory.truncation.sweep_runner import Runner

TASK = LinearRegression(2, noise_std=0.5)


def a_case(model: int = 1, seed: int = 5, samples: int = 16, layers: int = 1) -> Case:
    drawn = random_weights(model, layers=layers, token_dim=3, scale=0.6)
    tokens = TASK.sample_tokens(np.random.default_rng(seed), np.ones((1, 2)), 12)[0]
    return Case("the same name", "random", seed, drawn, TASK, np.ones(2), tokens, samples=samples)


# Ladders of a case.


def rungs(case: Case, **options: float) -> list[float]:
    """Bounds, which do not see the scale of the last layer, and the gap, which does."""
    ladder = case.ladder(**options)
    return [ladder.gap.value, *(rung.value for name, rung in ladder.rungs.items() if name != "theorem_2_printed")]


def test_ladder_key() -> None:
    """Each is that of a case that was never used before; the scale is that of W_V in the first layer alone."""
    kept, asked = a_case(layers=2), [{}, {"scale": 2.0}, {"floor": 0.5}, {"floor": 0.5, "scale": 2.0}, {"floor": 2.0}]
    found = [rungs(kept, **options) for options in asked]
    assert [rungs(a_case(layers=2), **options) for options in asked] == found
    assert len({tuple(values) for values in found}) == len(asked)
    for options in asked:
        assert kept.ladder(**options) is kept.ladder(**options)
    assert kept.ladder() is kept.ladder(floor=0.0, scale=1.0)
    value = np.array(kept.model.value) * np.array([2.0, 1.0])[:, None, None]
    scaled = replace(a_case(layers=2), model=kept.model.replace(value=value))
    np.testing.assert_allclose(rungs(scaled), found[1], rtol=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": random_weights(2, layers=1, token_dim=3, scale=0.6)},
        {"seed": 6},
        {"samples": 17},
        {"task": LinearRegression(2, noise_std=1.5)},
        {"task_vector": np.array([3.0, -1.0])},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_changed_case(changes: dict[str, Any]) -> None:
    """Made by `replace` from a case that has ladders already."""
    first = a_case()
    gap = first.ladder().gap
    changed = replace(first, **changes)
    assert changed.ladder().gap.value != gap.value
    assert changed.ladder().gap == replace(a_case(), **changes).ladder().gap
    assert first.ladder().gap is gap
    other = first.with_model(random_weights(3, layers=1, token_dim=3, scale=0.6), "others")
    assert other.ladder().gap.value != gap.value


# Draws.


def one_array(draws: Any) -> np.ndarray:
    return np.concatenate([np.concatenate([part.tokens.ravel(), part.observations.ravel()]) for part in draws])


@pytest.mark.parametrize("chunk", [2**22, 150])  # in one piece, which is kept, and in several, which are drawn again
def test_draws_key(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Draws come again and belong to seed and setting."""
    monkeypatch.setattr("icl_theory.information.ladder.noisy_trajectory._CHUNK_ENTRIES", chunk)
    model = random_weights(1, layers=2, token_dim=3, scale=0.6)

    def setting(**changes: Any) -> Setting:
        plain: dict[str, Any] = {"task_vector": np.ones(2), "demonstrations": 12, "shots": 4, "task": TASK}
        return Setting(model=model, **{**plain, **changes})

    kept = Batches(setting(), 3, 16)
    first = one_array(kept)
    np.testing.assert_array_equal(one_array(kept), first)
    np.testing.assert_array_equal(one_array(Batches(setting(), 3, 16)), first)
    if chunk == 2**22:
        assert next(iter(kept)) is next(iter(kept))
        whole = one_array([draw(setting(), np.random.default_rng(3), 16)])
        np.testing.assert_array_equal(first, whole)
    else:
        assert len(list(kept)) > 1
    others = [
        Batches(setting(), 4, 16),
        Batches(setting(), 3, 17),
        Batches(setting(shots=5), 3, 16),
        Batches(setting(demonstrations=13), 3, 16),
        Batches(setting(task_vector=np.array([1.0, 2.0])), 3, 16),
        Batches(setting(task=LinearRegression(2, noise_std=0.7)), 3, 16),
    ]
    for other in others:
        found = one_array(other)
        assert found.shape != first.shape or (found != first).any()


def test_draws_are_kept() -> None:
    """The draws of a case are kept under the case and its floor."""
    first, second = a_case(), a_case()
    assert making._batches(first, 0.0) is making._batches(first, 0.0)
    assert making._batches(first, 0.0) is not making._batches(second, 0.0)
    floors = [next(iter(making._batches(first, floor))) for floor in (0.0, 0.5)]
    assert [draws.extra.shape[1] for draws in floors] == [0, 1]
    more_shots: list[Draws] = [next(iter(truncation_information._batches(first, shots))) for shots in (20, 5)]
    assert (more_shots[0].observations != more_shots[1].observations).any()
    assert truncation_information._batches(first, 5) is truncation_information._batches(first, 5)


# Prompts of a case.


def test_prompts_key() -> None:
    """Prompts are kept under everything that makes them."""
    function: Callable[..., Any] = prompt_errors.moments
    first = a_case()
    asked: list[tuple[Any, ...]] = [
        (first, 4, 32, 0),
        (first, 5, 32, 0),
        (first, 4, 33, 0),
        (first, 4, 32, 1),
        (a_case(seed=6), 4, 32, 0),
        (replace(first, task=LinearRegression(2, noise_std=0.9)), 4, 32, 0),
    ]
    found = [function(*given) for given in asked]
    for given, value in zip(asked, found, strict=True):
        assert function(*given) is value
        np.testing.assert_array_equal(np.asarray(function.__wrapped__(*given)[0]), np.asarray(value[0]))  # pyright: ignore
    firsts = [np.asarray(value[0] if isinstance(value, tuple) else value) for value in found]
    for i, one in enumerate(firsts):
        assert all(one.shape != other.shape or (one != other).any() for other in firsts[i + 1 :])


# Models of a run.


def test_ensembles_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensembles are kept under the task and every setting; an equal task made anew is the same."""
    reported: list[dict[str, Any]] = []
    monkeypatch.setattr(trained_ensembles, "train", lambda task, seed, **options: reported.append(options) or object())
    found, usual = TrainedEnsembles(3), TrainConfig(shots=8, seeds=2, steps=30)
    other = LinearRegression(TASK.dim, noise_std=0.75)
    recipes = [
        Recipe(TASK, usual),
        Recipe(other, usual),
        *(Recipe(TASK, replace(usual, **changes)) for changes in CHANGES),
    ]
    models = [found.get(recipe) for recipe in recipes]
    assert len({id(model) for model in models}) == len(recipes) == len(reported)
    again = [Recipe(LinearRegression(TASK.dim, noise_std=r.task.noise_std), r.config) for r in recipes]  # pyright: ignore
    assert [found.get(recipe) for recipe in again] == models
    assert [recipe.number for recipe in again] == [recipe.number for recipe in recipes]
    assert len({recipe.number for recipe in recipes}) == len(recipes)
    for recipe, options in zip(recipes, reported, strict=True):
        assert {name: options[name] for name in asdict(recipe.config)} == asdict(recipe.config)


CHANGES: list[dict[str, Any]] = [
    {"layers": 2},
    {"hidden": 4},
    {"hidden": 5},
    {"readout": "plus"},
    {"steps": 31},
    {"shots": 9},
    {"seeds": 3},
    {"kind": "softmax"},
    {"batch": 7},
]


def test_unwritten_tasks() -> None:
    """A task that cannot be written down is known as the object it is."""

    class Own(LinearRegression):
        def __init__(self, secret: float) -> None:
            super().__init__(2)
            object.__setattr__(self, "secret", secret)

    one, other = Own(1.0), Own(1.0)
    config = TrainConfig(shots=8, steps=30)
    assert Recipe(one, config) == Recipe(one, config)
    assert Recipe(one, config) != Recipe(other, config)


def test_cases_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cases of a case factory are kept under kind layers and width."""
    asked: list[tuple[int, int, str]] = []

    def trained(_: Any, layers: int, hidden: int = 0, readout: str = "minus") -> Any:
        asked.append((layers, hidden, readout))
        models = [random_weights(10 * len(asked) + s, layers=layers, token_dim=6, scale=0.4) for s in range(3)]
        value = np.stack([model.value for model in models])
        return SimpleNamespace(models=SimpleNamespace(value=value, member=lambda seed: models[seed]))

    monkeypatch.setattr(CaseFactory, "ensemble", trained)
    shop = CaseFactory(PROFILES["quick"], 0)
    makers: list[Callable[[], list[Case]]] = [
        lambda: shop.random(1),
        lambda: shop.random(3),
        lambda: shop.constructed(1),
        lambda: shop.constructed(3),
        lambda: shop.trained_seeds(1),
        lambda: shop.trained_seeds(3),
        lambda: shop.trained_seeds(3, 6),
        lambda: shop.trained_seeds(3, 4),
    ]
    found = [make() for make in makers]
    assert [make() for make in makers] == found  # a case equals itself alone
    assert all(a is b for make, kept in zip(makers, found, strict=True) for a, b in zip(make(), kept, strict=True))
    everything = [case for made in found for case in made]
    assert len({id(case) for case in everything}) == len(everything)
    assert [(made[0].kind, made[0].layers) for made in found[:6]] == [
        *(("random", 1), ("random", 3), ("constructed", 1), ("constructed", 3), ("trained", 1), ("trained", 3)),
    ]
    assert asked == [(1, 0, "minus"), (3, 0, "minus"), (3, 6, "minus"), (3, 4, "minus")]
    matrices = {case.model.value.tobytes() for made in (*found[:2], *found[4:]) for case in made}
    assert len(matrices) == sum(len(made) for made in (*found[:2], *found[4:]))


# The untouched model of a sweep.


def test_untouched_model_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that affords fewer pairs is compared with the untouched model at as many."""
    calls: list[Any] = []

    def entry(_: Runner, model: Any, pairs: int | None) -> Any:
        calls.append((model, pairs))
        return made(300 if pairs is None else pairs)

    def made(count: int) -> Any:
        return SimpleNamespace(ladder=SimpleNamespace(sandwich=SimpleNamespace(upper=SimpleNamespace(samples=count))))

    monkeypatch.setattr(Runner, "entry", entry)
    runner, other = (Runner(name, None, None, None, None, 0) for name in "ab")  # pyright: ignore
    full, fewer = runner.before(None, made(300)), runner.before(None, made(256))
    assert (full.ladder.sandwich.upper.samples, fewer.ladder.sandwich.upper.samples) == (300, 256)
    assert runner.before(None, made(300)) is full
    assert runner.before(None, made(256)) is fewer
    assert runner.before(256, made(256)) is fewer
    assert runner.before(None, made(0)) is full  # no sandwich at all
    assert calls == [("a", None), ("a", 256)]
    assert other.before(None, made(300)) is not full
    assert calls[-1] == ("b", None)


# Channels.


def test_channel_scale_key() -> None:
    """The scale of a channel is kept under law and information."""
    made = [scalar_law(law)(dimension, value) for law, dimension, value in KNOWN]
    assert [(c.family, c.dimension, c.information) for c in made] == [(law, d, i) for law, d, i in KNOWN]
    drawn = [[part.tobytes() for part in c.draw(np.random.default_rng(0), 3)] for c in made]
    assert len({tuple(parts) for parts in drawn}) == len(KNOWN)
    again = [scalar_law(law)(d, value).draw(np.random.default_rng(0), 3) for law, d, value in KNOWN]
    assert [[part.tobytes() for part in parts] for parts in again] == drawn


KNOWN = (("binary", 2, 0.4), ("binary", 2, 0.8), ("uniform", 2, 0.4), ("uniform", 2, 0.8))
