"""The flax module against `predict`, and as something that trains."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from icl_theory import InContextTransformer, LinearRegression, gradient_descent_weights, predict, random_weights

TASK = LinearRegression(3, noise_std=0.2)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kind": "softmax", "mask": "causal"},
        {"normalization": "sum", "readout": "plus"},
    ],
)
def test_module_predicts(options):
    """Module agrees with predict."""
    model, prompt = random_weights(0, layers=2, token_dim=4, scale=0.4), TASK.sample(1, 5, 7)
    module = InContextTransformer(model.replace(**options))
    got = module(prompt.x.astype(np.float32), prompt.y.astype(np.float32), prompt.x_query.astype(np.float32))
    assert got.shape == (5,)
    np.testing.assert_allclose(got, predict(model.replace(**options), prompt), rtol=1e-3, atol=1e-4)


def test_relu_module():
    """Relu MLP agrees with predict and differs from a linear one."""
    rng = np.random.default_rng(0)
    model = random_weights(0, layers=1, token_dim=4).replace(
        mlp_in=rng.standard_normal((1, 8, 4)), mlp_out=rng.standard_normal((1, 4, 8))
    )
    prompt = TASK.sample(1, 5, 7)
    relu = InContextTransformer(model.replace(activation="relu"))(
        *(np.float32(a) for a in (prompt.x, prompt.y, prompt.x_query))
    )
    np.testing.assert_allclose(relu, predict(model.replace(activation="relu"), prompt), rtol=1e-3, atol=1e-5)
    assert np.abs(relu - predict(model, prompt)).max() > 1e-3


def test_module_trains():
    """Module trains and hands its weights to the theory."""
    module = InContextTransformer(gradient_descent_weights(3, step_size=0.1))
    optimizer = nnx.Optimizer(module, optax.adam(0.02), wrt=nnx.Param)
    prompt = TASK.sample(0, 256, 12)
    data = tuple(jnp.float32(a) for a in (prompt.x, prompt.y, prompt.x_query, prompt.y_query))

    @nnx.jit
    def step(module, optimizer):
        loss, gradient = nnx.value_and_grad(lambda m: jnp.mean((m(*data[:3]) - data[3]) ** 2))(module)
        optimizer.update(module, gradient)
        return loss

    losses = [float(step(module, optimizer)) for _ in range(60)]
    assert losses[-1] < 0.6 * losses[0]
    model = jax.tree.map(np.asarray, module.model)
    assert np.mean((predict(model, prompt) - prompt.y_query) ** 2) == pytest.approx(losses[-1], rel=0.1)


def test_unknown_options():
    """Unknown options are errors."""
    with pytest.raises(ValueError, match="kind: got 'cubic'"):
        InContextTransformer(gradient_descent_weights(3).replace(kind="cubic"))
