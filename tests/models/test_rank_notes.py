"""Models remember what precision their numbers came in and where they were truncated, wherever they go."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import error_message

from icl_theory import (
    InContextTransformer,
    LinearRegression,
    Model,
    bound_ladder,
    condition_number,
    gradient_noise,
    load_model,
    random_weights,
    save_model,
    train,
    truncate_weights,
)
from icl_theory.models.files import from_dict, to_dict
from icl_theory.models.rank_notes import full_ranks
from icl_theory.truncation.conditioning import module_condition_number

TASK, W = LinearRegression(3, noise_std=0.5), np.array([1.0, -0.5, 0.3])
OPTIONS: dict[str, Any] = {"demonstrations": 40, "shots": 10, "clip": 4.0, "samples": 32, "task_vector": W}
CUT = truncate_weights(random_weights(0, layers=1, token_dim=4), layer=0, module="value", rank=1)


def stacked(model: Model) -> Model:
    """Through an ensemble in jax, and out again."""
    return jax.tree.map(lambda *a: jnp.stack(a), model, model).member(1)


def through_jit(model: Model) -> Model:
    """Through a compiled function."""
    return jax.jit(lambda m: jax.tree.map(lambda a: 1.0 * a, m))(model)


def through_file(model: Model, folder: Path) -> Model:
    """Through a float32 file that knows only numbers."""
    matrices: dict[str, Any] = {name: np.float32(getattr(model, name)) for name in ("value", "key", "query")}
    np.savez(folder / "a.npz", **matrices)
    with np.load(folder / "a.npz") as saved:
        return Model.create(**saved)


ROUTES = {
    "device": lambda model, _: jax.device_put(model),
    "stack": lambda model, _: stacked(model),
    "jit": lambda model, _: through_jit(model),
    "file": through_file,
    "module": lambda model, _: InContextTransformer(model).model,
    "saved": lambda model, folder: load_model(save_model(folder / "b.npz", jax.device_put(model))),
    "record": lambda model, _: from_dict(to_dict(jax.device_put(model))),
    "widened": lambda model, _: jax.tree.map(np.float64, jax.device_put(model)),
}


@pytest.mark.parametrize("route", ROUTES)
def test_truncation_survives(route: str, tmp_path: Path) -> None:
    """Rank 1 stays rank 1: d_S 4, the Gaussian rung and κ = ∞ as before the numbers were rounded to float32."""
    model = ROUTES[route](CUT, tmp_path)
    before, after = (bound_ladder(m, TASK, **OPTIONS) for m in (CUT, model))
    assert after.support == before.support == (4,)
    for name in ("gaussian", "isotropic"):
        assert after.rungs[name].value == pytest.approx(before.rungs[name].value, rel=1e-5)
    tokens = TASK.sample_tokens(np.random.default_rng(0), W[None], 40)[0]
    assert gradient_noise(model, tokens, shots=10).rank == 4
    assert module_condition_number(model, 0, "value") == np.inf


def test_unknown_origin() -> None:
    """Rounded to float32, widened, and nothing known of it: refused, and what the refusal advises works."""
    value = CUT.value.astype(np.float32).astype(np.float64)
    bare = Model.create(value, CUT.key, CUT.query)
    assert "precision=" in error_message(bound_ladder, bare, TASK, **OPTIONS)
    assert "precision" in error_message(condition_number, value[0])
    assert condition_number(value[0], precision="float32") == np.inf
    assert condition_number(value[0].astype(np.float32)) == np.inf
    known: dict[str, Any]
    for known in ({"precision": "float32"}, {"ranks": {"value": [1]}}):
        model = Model.create(value, CUT.key, CUT.query, **known)
        assert bound_ladder(model, TASK, **OPTIONS).support == (4,)


def test_changed_numbers() -> None:
    """Ranks of numbers that were changed since are forgotten, or contradicted: they are never believed."""
    noisy = jax.tree.map(lambda a: a + 1e-3 * np.arange(16.0).reshape(4, 4) ** 1.5, CUT)
    assert "1 declared" in error_message(bound_ladder, noisy, TASK, **OPTIONS)
    assert CUT.replace(value=CUT.key).ranks == ()
    assert CUT.replace(key=CUT.key).ranks == CUT.ranks


def test_notes_follow_the_layers() -> None:
    """First layers, repeated layers, heads, the sum normalization and a second truncation keep them right."""
    model = truncate_weights(random_weights(1, layers=3, token_dim=4), layer=1, module="value", rank=2)
    model = truncate_weights(model, layer=2, module="attention", rank=3)
    assert dict(model.ranks) == {"value": (None, 2, 3), "key": (None, None, 3), "query": (None, None, 3)}
    assert dict(model.first_layers(2).ranks)["value"] == (None, 2)
    assert dict(model.repeated(2).ranks)["value"] == (None, 2, 3) * 2
    assert model.with_heads().ranks == model.ranks
    assert model.replace(normalization="sum").with_mean(7).ranks == model.ranks
    again = truncate_weights(model, layer=1, module="value", rank=3)
    assert dict(again.ranks)["value"] == (None, 2, 3)  # a matrix of rank 2 cut at 3 has rank 2
    zero = truncate_weights(CUT.replace(value=np.zeros((1, 4, 4))), layer=0, module="value", rank=2)
    assert dict(zero.ranks)["value"] == (0,)
    heads = truncate_weights(
        Model.create(*np.random.default_rng(0).standard_normal((3, 2, 2, 4, 4)), heads=2),
        layer=1,
        module="value",
        rank=1,
    )
    assert dict(heads.ranks)["value"] == (None, None, 1, 1)


def test_declared_ranks_errors() -> None:
    """Another name, another number of ranks, no rank at all."""
    matrices = CUT.value, CUT.key, CUT.query
    assert "name the matrices" in error_message(Model.create, *matrices, ranks={"mlp_in": [1]})
    assert "one for each" in error_message(Model.create, *matrices, ranks={"value": [1, 2]})
    assert "ranks of value" in error_message(Model.create, *matrices, ranks={"value": [5]})
    assert "precision" in error_message(Model.create, *matrices, precision="single")


def test_trained_weights_are_what_they_are() -> None:
    """A small singular value of trained weights is one, where in weights from elsewhere it may be a rounded zero."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((2, 1, 5, 5)))[0] for _ in range(2))
    small = ((left * [1.0, 0.5, 0.3, 0.2, 1.2e-6]) @ right).astype(np.float32)
    assert full_ranks({"key": small}) == (("key", (5,)),)
    zero = small.copy()
    zero[1, 0, :, 0] = 0.0  # of one member clearly not
    assert full_ranks({"key": zero}) == ()
    lost = small.copy()
    lost[0, 0, 0, 0] = np.nan
    assert full_ranks({"key": lost}) == ()
    model = Model.create(*(small[0],) * 3, precision="float32")
    assert "a singular value of 1.2e-06 of the largest" in error_message(bound_ladder, model, TASK4, **OPTIONS4)
    known = model.replace(ranks=tuple((name, (5,)) for name in ("value", "key", "query")))
    assert bound_ladder(known, TASK4, **OPTIONS4).support == (15,)
    assert dict(train(TASK, 0, layers=2, shots=5, steps=20, seeds=3).models.member(1).ranks)["value"] == (4, 4)


TASK4 = LinearRegression(4, noise_std=0.5)
OPTIONS4: dict[str, Any] = {**OPTIONS, "task_vector": np.ones(4)}
