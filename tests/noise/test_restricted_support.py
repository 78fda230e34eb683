"""The support where a second moment varies in some directions only, against the span of the gradients themselves."""

import numpy as np
import pytest

from icl_theory import LinearClassification, OneHotClassification, random_weights, truncate_weights
from icl_theory.information.ladder.noisy_trajectory import Runs, draw, simulate
from icl_theory.information.ladder.setting import Setting
from icl_theory.models.model import Model
from icl_theory.noise.restricted_support import RestrictedSupport, restricted
from icl_theory.noise.support import Support
from icl_theory.tasks import Task


def prepared(model: Model, task: Task, floor: float = 0.0) -> tuple[Setting, Runs]:
    function = task.sample_tasks(np.random.default_rng(0), 1)[0]
    setting = Setting(model, task, function, 60, 20, floor)
    return setting, simulate(setting, draw(setting, np.random.default_rng(1), 5))


def updates(model: Model, tokens: np.ndarray, m: np.ndarray, layer: int) -> np.ndarray:
    """W_V M h hᵀ Mᵀ W_KᵀW_Q M of every token, heads summed, shape (N, D, D)."""
    whole = model.with_heads()
    h = tokens @ m.T
    total = np.zeros((len(tokens), *m.shape))
    for value, key, query in zip(whole.value[layer], whole.key[layer], whole.query[layer], strict=True):
        total += np.einsum("ni,nj->nij", h @ value.T, h @ key.T @ query @ m)
    return total


TASKS = {"signs": LinearClassification(2), "one-hot": OneHotClassification(2, classes=2)}
MODELS = {
    "full": lambda d: random_weights(3, layers=2, token_dim=d, scale=0.7),
    "value 2": lambda d: truncate_weights(MODELS["full"](d), layer=0, module="value", rank=2),
    "key 1": lambda d: truncate_weights(MODELS["full"](d), layer=1, module="key", rank=1),
    "no label": lambda d: unlabelled(MODELS["full"](d)),
    "heads": lambda d: two_heads(d),
    "heads, cut": lambda d: truncate_weights(MODELS["heads"](d), layer=0, module="key", rank=1),
    "removed": lambda d: truncate_weights(MODELS["full"](d), layer=0, module="value", rank=0),
}


def two_heads(token_dim: int) -> Model:
    matrices = 0.4 * np.random.default_rng(2).standard_normal((3, 2, 2, token_dim, token_dim))
    return Model.create(*matrices, heads=2)


def unlabelled(model: Model) -> Model:
    """A first layer whose W_V and W_KᵀW_Q see neither label, so that what is constant is not seen anyway."""
    value, key = np.array(model.value), np.array(model.key)
    value[0, :, 2:] = key[0, :, 2:] = 0.0
    return model.replace(value=value, key=key)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("floor", [0.0, 0.01])
def test_span_of_gradients(name: str, task: str, floor: float) -> None:
    """d_t is the dimension in which the gradients of a layer differ, on every path; coordinates are orthonormal."""
    model = MODELS[name](TASKS[task].token_dim)
    setting, runs = prepared(model, TASKS[task], floor)
    for index, layer in enumerate(runs.layers):
        for run in range(5):
            m = np.eye(model.token_dim) + layer.entering[run if index else 0]
            g = updates(model, runs.draws.tokens[run], m, index).reshape(60, -1)
            apart = g - g.mean(axis=0)
            values = np.linalg.svd(apart, compute_uv=False)
            rank = int((values > 1e-9 * max(values[0], 1e-9)).sum())
            assert layer.dimension == rank
            assert not floor or np.array_equal(layer.maps, layer.support.matrix())  # its noise is isotropic in W
            assert layer.cancels == (layer.dimension == setting.coordinates and floor == 0)
            one = run if index or len(layer.support.matrix()) > 1 else 0
            p = layer.support.matrix()
            p = p[one if len(p) > 1 else 0]
            z = setting.law.features(runs.draws.inner[run]) @ p.T
            inside = z - z.mean(axis=0)
            np.testing.assert_allclose(inside @ inside.T, apart @ apart.T, atol=1e-8 * max(values[0] ** 2, 1e-8))


@pytest.mark.parametrize("task", TASKS)
def test_increments(task: str) -> None:
    """W_t - W_{t-1} is the image of the noisy observation, the constant part included."""
    model = MODELS["value 2"](TASKS[task].token_dim)
    setting, runs = prepared(model, TASKS[task])
    for index, layer in enumerate(runs.layers):
        for run in range(5):
            m = np.eye(model.token_dim) + layer.entering[run if index else 0]
            x = setting.law.matrices(runs.draws.observations[run, index])
            moved = m @ setting.basis @ x @ setting.basis.T @ m.T
            expected = model.value[index] @ moved @ model.key[index].T @ model.query[index] @ m
            np.testing.assert_allclose(layer.increment[run], expected, atol=1e-10)
            # Labels of constant size keep it under the noise of the observation.
            shown = setting.basis @ x @ setting.basis.T
            assert np.trace(shown[2:, 2:]) == pytest.approx(1.0)
            support = layer.support
            assert isinstance(support, RestrictedSupport)
            back = support.project(support.embed(np.eye(layer.dimension)[:, None]))[:, 0]
            np.testing.assert_allclose(back, np.eye(layer.dimension), atol=1e-10)


def test_doubtful_dimension() -> None:
    """A direction that is nearly, but not quite, the constant one is refused."""
    free = np.eye(3)[:, :2]  # of [x², √2 x y, y²] the last is constant
    support, error = Support.of(np.eye(2)[:, 1:].T, np.eye(2)[:, 1:]), np.array([1e-16])  # X ↦ y² alone
    for maps, dimension in (([0.0, 0.0, 1.0], 0), ([0.0, 1e-15, 1.0], 0), ([0.0, 1e-12, 1.0], 1)):
        assert restricted(support, np.array([[maps]]), free, error, False)[0].dimension == dimension
    with pytest.raises(np.linalg.LinAlgError, match="in doubt"):
        restricted(support, np.array([[[0.0, 1e-14, 1.0]]]), free, error, False)
    with pytest.raises(np.linalg.LinAlgError, match="in doubt"):  # on a path that is known less well
        restricted(support, np.array([[[0.0, 1e-12, 1.0]]]), free, 100 * error, False)
    with pytest.raises(np.linalg.LinAlgError, match="in doubt"):  # another dimension on another path
        restricted(support, np.array([[[0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]]]), free, error, False)
