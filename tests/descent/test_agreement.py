"""Agreement with gradient descent: exact for the construction, and each metric against its definition on tokens."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import least_squares

from icl_theory.descent import agreement
from icl_theory.descent.agreement import Agreement, _fit_plus_plus, _fit_step_size, gradient_descent_agreement
from icl_theory.descent.gradient_descent import gradient_descent, plus_plus_end, plus_plus_steps
from icl_theory.models.attention import predict
from icl_theory.models.constructions import gradient_descent_weights, one_layer_optimum, random_weights
from icl_theory.models.model import Model
from icl_theory.tasks.laws import Uniform
from icl_theory.tasks.linear_regression import LinearRegression, Prompt
from icl_theory.training.train import train

DIM, SHOTS = 4, 12


@pytest.fixture(scope="module")
def task() -> LinearRegression:
    a = np.random.default_rng(0).standard_normal((DIM, DIM))
    return LinearRegression(DIM, a @ a.T / DIM + 0.2 * np.eye(DIM), noise_std=0.4)


def stacked(*models: Model) -> Model:
    return Model(*(np.stack([getattr(m, n) for m in models]) for n in ("value", "key", "query")))


def assert_exact(result: Agreement, tolerance: float = 1e-12) -> None:
    for layer in result.layers:
        assert layer.prediction_difference.value < tolerance
        assert layer.implied_weight_distance.value < tolerance
        assert layer.sensitivity_norm_difference.value < tolerance
        assert abs(layer.sensitivity_cosine.value - 1) < tolerance


@pytest.mark.parametrize("layers", [1, 2, 5])
@pytest.mark.parametrize("eta", [0.4, -0.1])
def test_construction(task: LinearRegression, layers: int, eta: float) -> None:
    """Construction is gradient descent."""
    model = gradient_descent_weights(DIM, layers=layers, step_size=eta)
    result = gradient_descent_agreement(model, task, shots=SHOTS)
    assert result.step_size == pytest.approx([eta], rel=1e-12)
    assert len(result.layers) == layers
    assert_exact(result)


def test_step_beyond_grid(task: LinearRegression) -> None:
    """A step size beyond the first grid."""
    model = gradient_descent_weights(DIM, layers=1, step_size=500.0)
    assert gradient_descent_agreement(model, task, shots=SHOTS).step_size == pytest.approx([500.0], rel=1e-12)


def test_preconditioned(task: LinearRegression) -> None:
    # Λ and Ω do not commute, so that P = ((N+1)/N Λ + c Ω^{-1})^{-1} is no function of Λ alone.
    """Preconditioned is the one layer optimum."""
    task = LinearRegression(DIM, task.covariance, np.diag([2.0, 1.0, 0.5, 0.2]), noise_std=0.4)
    model, _ = one_layer_optimum(task, shots=SHOTS)
    result = gradient_descent_agreement(model, task, shots=SHOTS, scheme="preconditioned")
    assert result.step_size == pytest.approx([1.0], rel=1e-12)
    assert_exact(result)
    plain = gradient_descent_agreement(model, task, shots=SHOTS)
    assert plain.final.prediction_difference.value > 0.05  # Λ is anisotropic, so plain GD is something else


def gd_plus_plus_weights(eta: float, gamma: float, layers: int) -> Model:
    """W_V = diag(-γ I, -η), W_K = W_Q = diag(I, 0)."""
    plain = gradient_descent_weights(DIM, layers=layers, step_size=eta)
    value = plain.value.copy()
    value[:, :DIM, :DIM] = -gamma * np.eye(DIM)
    return plain.replace(value=value)


@pytest.mark.parametrize(("layers", "gamma"), [(2, 0.15), (3, -0.05), (2, 0.0)])
def test_gd_plus_plus(task: LinearRegression, layers: int, gamma: float) -> None:
    """Gd plus plus is a transformer too."""
    model = gd_plus_plus_weights(0.3, gamma, layers)
    result = gradient_descent_agreement(model, task, shots=SHOTS, scheme="gd++")
    assert result.step_size == pytest.approx([0.3], rel=1e-7)
    assert result.input_step == pytest.approx([gamma], abs=1e-8)
    assert_exact(result, 1e-6)
    if gamma:
        plain = gradient_descent_agreement(model, task, shots=SHOTS)
        assert plain.final.prediction_difference.value > 1e-3


def test_gd_plus_plus_tokens(task: LinearRegression) -> None:
    """Residuals and inputs moved in plain loops, the query beside them."""
    prompt = task.sample(3, 1, SHOTS)
    x, r, eta, gamma = prompt.x[0], prompt.y[0], 0.2, 0.1
    for index in range(DIM):
        inputs, residuals, query, answer = x.copy(), r.copy(), np.eye(DIM)[index], 0.0
        for _ in range(3):
            cross, second = inputs.T @ residuals / SHOTS, inputs.T @ inputs / SHOTS
            answer += eta * cross @ query
            residuals = residuals - eta * inputs @ cross
            inputs, query = inputs - gamma * inputs @ second, query - gamma * second @ query
        tokens = prompt.tokens()
        moments = np.swapaxes(tokens, 1, 2) @ tokens / SHOTS
        assert plus_plus_steps(moments, eta, gamma, 3)[0, -1, index] == pytest.approx(answer, rel=1e-11)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_plus_plus_by_eigenvalues(steps: int) -> None:
    """The last step of GD++ in the eigenbasis is that of the matrices; its derivatives are those of differences."""
    rng = np.random.default_rng(steps)
    factors = rng.standard_normal((5, 4, 9))
    moments = factors @ factors.swapaxes(-1, -2) / 9
    values, vectors = np.linalg.eigh(moments[:, :-1, :-1])
    cross = (vectors.swapaxes(-1, -2) @ moments[:, :-1, -1:])[..., 0]
    eta, gamma, h = 0.31, 0.17, 1e-6

    def last(eta: float, gamma: float) -> np.ndarray:
        return (vectors.swapaxes(-1, -2) @ plus_plus_steps(moments, eta, gamma, steps)[:, -1, :, None])[..., 0]

    found = plus_plus_end(values, cross, eta, gamma, steps)
    np.testing.assert_allclose(found[0], last(eta, gamma), rtol=1e-11, atol=1e-13)
    slopes = (
        last(eta + h, gamma) - last(eta - h, gamma),
        last(eta, gamma + h) - last(eta, gamma - h),
    )
    # Central differences are off by h² times the third derivative, and by rounding over h.
    np.testing.assert_allclose(found[1:], np.array(slopes) / (2 * h), rtol=1e-7, atol=1e-8)


def test_own_step_sizes(task: LinearRegression) -> None:
    """Ensemble members get their own step size."""
    etas = [0.1, 0.2, 0.5]
    models = stacked(*(gradient_descent_weights(DIM, layers=2, step_size=eta) for eta in etas))
    result = gradient_descent_agreement(models, task, shots=SHOTS)
    assert result.step_size == pytest.approx(etas, rel=1e-12)
    assert_exact(result)
    assert result.final.prediction_difference.samples == 3


def test_equal_members(task: LinearRegression) -> None:
    """Equal members report what each reports alone."""
    model = random_weights(2, layers=2, token_dim=DIM + 1, scale=0.3)
    alone = gradient_descent_agreement(model, task, shots=SHOTS).final
    twice = gradient_descent_agreement(stacked(model, model), task, shots=SHOTS).final
    for name in ("prediction_difference", "sensitivity_cosine", "implied_weight_distance"):
        assert getattr(twice, name).value == pytest.approx(getattr(alone, name).value, rel=1e-12)
        assert getattr(twice, name).stderr == pytest.approx(0, abs=1e-12)
        assert getattr(alone, name).stderr > 0


def test_readout_flips_the_step(task: LinearRegression) -> None:
    model = gradient_descent_weights(DIM, step_size=0.3)
    result = gradient_descent_agreement(model.replace(readout="plus"), task, shots=SHOTS)
    assert result.step_size == pytest.approx([-0.3], rel=1e-12)


def token_metrics(model: Model, task: LinearRegression, eta: float, readout: str, count: int) -> np.ndarray:
    """Per prompt, from tokens: squared difference of two predictions at a drawn query, cosine, norms, distance.

    p comes out of `predict` by feeding unit vectors as queries, w_gd out of `gradient_descent` on the same tokens.
    """
    prompt = task.sample(77, count, SHOTS)
    units = np.eye(DIM)
    p = np.stack(
        [
            predict(model.replace(readout=readout), Prompt(prompt.x, prompt.y, np.tile(u, (count, 1)), prompt.y_query))
            for u in units
        ],
        axis=-1,
    )
    pairs = zip(prompt.x, prompt.y, strict=True)
    w = np.stack([gradient_descent(x, y, steps=model.layers, step_size=eta)[-1] for x, y in pairs])
    square = (np.einsum("bd,bd->b", prompt.x_query, p - w)) ** 2
    lp, lw = np.linalg.norm(p, axis=1), np.linalg.norm(w, axis=1)
    return np.stack([square, (p * w).sum(1) / (lp * lw), np.abs(lp - lw), np.linalg.norm(p - w, axis=1)])


@pytest.mark.parametrize(("layers", "readout"), [(1, "plus"), (2, "minus")])
def test_metrics_on_tokens(task: LinearRegression, layers: int, readout: str) -> None:
    """Metrics match their definition on tokens."""
    noise = random_weights(1, layers=layers, token_dim=DIM + 1, scale=0.15)
    base = gradient_descent_weights(DIM, layers=layers, step_size=0.1)
    model = Model(base.value + noise.value, base.key + noise.key, base.query + noise.query)
    result = gradient_descent_agreement(model.replace(readout=readout), task, shots=SHOTS, prompts=2000)
    values = token_metrics(model, task, float(result.step_size[0]), readout, 500)
    mean, stderr = values.mean(1), values.std(1, ddof=1) / np.sqrt(values.shape[1])
    mean[0], stderr[0] = np.sqrt(mean[0]), stderr[0] / (2 * np.sqrt(mean[0]))
    final = result.final
    ours = (
        final.prediction_difference,
        final.sensitivity_cosine,
        final.sensitivity_norm_difference,
        final.implied_weight_distance,
    )
    for estimate, other, error in zip(ours, mean, stderr, strict=True):
        assert estimate.samples == 2000
        assert 0 < estimate.stderr < 0.1 * abs(estimate.value)
        assert abs(estimate.value - other) < 6 * np.hypot(estimate.stderr, error)


def test_best_step(task: LinearRegression) -> None:
    """Scored elsewhere, the fitted step still beats its neighbours: it was not fitted to noise."""
    model = random_weights(1, layers=2, token_dim=DIM + 1, scale=0.5)
    model = model.replace(value=model.value + gradient_descent_weights(DIM, layers=2).value)
    eta = float(gradient_descent_agreement(model, task, shots=SHOTS, prompts=2000).step_size[0])
    losses = [token_metrics(model, task, e, "minus", 200)[0].mean() for e in (eta - 0.3, eta, eta + 0.3)]
    assert losses[1] == min(losses)


def test_separate_prompts(task: LinearRegression, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit and score use different prompts."""
    drawn: list[np.ndarray] = []
    original = LinearRegression.sample_moments

    def spy(self: LinearRegression, *args: Any) -> tuple:
        result = original(self, *args)
        drawn.append(result[0])
        return result

    monkeypatch.setattr(LinearRegression, "sample_moments", spy)
    gradient_descent_agreement(gradient_descent_weights(DIM), task, shots=SHOTS, prompts=5)
    assert [len(s) for s in drawn] == [5, 5]
    assert not np.isclose(drawn[0], drawn[1]).any()


def test_trained_models() -> None:
    """Trained one layer models do gradient descent."""
    task = LinearRegression(DIM)
    result = train(task, 0, layers=1, shots=SHOTS, seeds=4, steps=600)
    agreement = gradient_descent_agreement(result.models, task, shots=SHOTS)
    best = SHOTS / (SHOTS + DIM + 1)  # Ahn et al. 2023, isotropic
    assert agreement.step_size == pytest.approx([best] * 4, rel=0.03)
    assert agreement.final.sensitivity_cosine.value > 0.999
    assert 0 < agreement.final.prediction_difference.value < 0.1 * np.sqrt(task.zero_risk)


def test_zero_model(task: LinearRegression) -> None:
    """A zero model has no direction."""
    model = gradient_descent_weights(DIM, step_size=0.0)
    final = gradient_descent_agreement(model, task, shots=SHOTS).final
    assert np.isnan(final.sensitivity_cosine.value)
    assert "direction" in final.sensitivity_cosine.note
    assert final.prediction_difference.value < 1e-12


def test_refusals(task: LinearRegression) -> None:
    model = gradient_descent_weights(DIM, layers=2)
    with pytest.raises(ValueError, match="Gaussian"):
        gradient_descent_agreement(model, LinearRegression(DIM, inputs=Uniform()), shots=SHOTS)
    silent = LinearRegression(DIM, task_covariance=np.zeros((DIM, DIM)))
    with pytest.raises(ValueError, match="always zero"):
        gradient_descent_agreement(model, silent, shots=SHOTS)
    with pytest.raises(ValueError, match="prompts"):
        gradient_descent_agreement(model, task, shots=SHOTS, prompts=1)
    with pytest.raises(ValueError, match="shots"):
        gradient_descent_agreement(model, task, shots=0)
    with pytest.raises(ValueError, match="readout"):
        gradient_descent_agreement(model.replace(readout="both"), task, shots=SHOTS)
    with pytest.raises(ValueError, match="NaN"):
        gradient_descent_agreement(stacked(model, model.replace(value=model.value * np.nan)), task, shots=SHOTS)
    nonsense: Any = "weights"
    with pytest.raises(ValueError, match="Model"):
        gradient_descent_agreement(nonsense, task, shots=SHOTS)
    with pytest.raises(ValueError, match="token dimension"):
        gradient_descent_agreement(model, LinearRegression(DIM + 1), shots=SHOTS)
    with pytest.raises(ValueError, match="too large"):
        gradient_descent_agreement(model.replace(value=1e200 * model.value), task, shots=SHOTS)


@pytest.mark.parametrize(("seed", "steps", "eta", "gamma"), [(16, 3, 0.878, 0.731), (27, 2, 1.098, 1.122)])
def test_local_valley(seed, steps, eta, gamma):
    """Weights that are GD++ themselves: its η and γ come back, where a fit begun at γ = 0 alone ends elsewhere."""
    task, rng = LinearRegression(2, noise_std=0.3), np.random.default_rng(seed)
    moments = task.sample_moments(rng, 24, 6)[0]
    size = float(np.linalg.norm(moments[:, :-1, :-1], 2, axis=(1, 2)).mean())
    truth = np.array([eta, gamma]) / size
    p = plus_plus_steps(moments, truth[0], truth[1], steps)[:, -1]
    plain = _fit_step_size(p, moments, np.eye(2), task.covariance, steps)
    np.testing.assert_allclose(_fit_plus_plus(p, moments, plain, task, steps), truth, rtol=1e-7)

    def residuals(x: np.ndarray) -> np.ndarray:
        return ((plus_plus_steps(moments, x[0], x[1], steps)[:, -1] - p) @ task.input_root).ravel()

    alone = least_squares(residuals, (plain, 0.0), jac="3-point", x_scale=(1 / size, 1 / size))
    assert np.abs(alone.x / truth - 1).max() > 0.1


@pytest.mark.parametrize("size", [1e-5, 1e5])
def test_narrow_valley(size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a coarse grid the valley lies within a cell; inputs in another unit have their step size in its square."""
    monkeypatch.setattr(agreement, "GRID", 5)
    searched: list[Any] = []
    original = agreement.minimize_scalar
    monkeypatch.setattr(agreement, "minimize_scalar", lambda *a, **o: searched.append(o) or original(*a, **o))
    moments = LinearRegression(2, noise_std=0.3).sample_moments(np.random.default_rng(7), 1, 6)[0]
    p = 40 * np.random.default_rng(1).standard_normal((1, 2))
    unit = np.array([size, size, 1.0])
    plain = _fit_step_size(p, moments, np.eye(2), np.eye(2), 20)
    scaled = _fit_step_size(p / size, moments * np.outer(unit, unit), np.eye(2), size**2 * np.eye(2), 20)
    assert len(searched) == 2
    assert scaled * size**2 == pytest.approx(plain, rel=1e-6)
