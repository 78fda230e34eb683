"""App. A.1, Eq. 5 to 7: a linear layer after a gradient step is the layer plus linear attention."""

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.core.numerics import float64

_STEP, _STEPS = 0.1, 3


def _data(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """W (2, D), inputs (N, D), two labels each (N, 2) and a test input (D,), made of the case's weights and tokens."""
    w, rng = case.model, np.random.default_rng(case.seed)
    readout = rng.standard_normal((2, w.token_dim))
    return (
        readout @ w.key[0],
        case.demonstrations,
        case.demonstrations @ (readout @ w.value[0]).T,
        rng.standard_normal(w.token_dim),
    )


def loss(output: jax.Array, label: jax.Array) -> jax.Array:
    """A loss of one example that is not quadratic: log cosh, summed over the two outputs."""
    return jnp.log(jnp.cosh(output - label)).sum()


def total(w: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """Σ_i loss(W x_i, y_i)."""
    return jax.vmap(loss)(x @ w.T, y).sum()


_gradient = jax.jit(jax.grad(total))


@float64
def measure(case: Case) -> np.ndarray:
    """$Ŵ x_test$ for $Ŵ$ after three steps of gradient descent on $Σ_i loss(W x_i, y_i)$, by automatic
    differentiation."""
    w, x, y, test = (jnp.asarray(part) for part in _data(case))
    for _ in range(_STEPS):
        w = w - _STEP * _gradient(w, x, y)
    return np.asarray(w @ test)


def predict(case: Case, *, size: float = 1.0, sign: float = -1.0, steps: int = _STEPS) -> np.ndarray:
    """$W x_test + LinearAttn(E, X, x_test) = W x_test + Σ_i e_i (x_iᵀ x_test)$, $e_i = -η Σ_steps loss'(W x_i)$."""
    w, x, y, test = _data(case)
    values = np.zeros_like(y)
    for _ in range(steps):
        outputs = x @ w.T + (x @ x.T) @ values  # the layer so far, itself attention to the inputs
        values = values + sign * _STEP * np.tanh(outputs - y)
    return size * (w @ test + values.T @ (x @ test))


def proof() -> bool:
    """One step with symbols, two examples, $L = Σ |W x_i - y_i|²$: $(W - η dL/dW) x = W x + Σ_i e_i (x_iᵀ x)$."""
    w = sp.Matrix(2, 2, sp.symbols("w:4"))
    step, test = sp.Symbol("eta"), sp.Matrix(sp.symbols("t:2"))
    examples = [(sp.Matrix(sp.symbols(f"x{i}_:2")), sp.Matrix(sp.symbols(f"y{i}_:2"))) for i in range(2)]
    total = sum(((w * x - y).dot(w * x - y) for x, y in examples), sp.Integer(0))
    stepped = w - step * sp.Matrix(2, 2, lambda i, j: sp.diff(total, w[i, j]))
    signals = [-2 * step * (w * x - y) for x, y in examples]  # e_i = -η dL/dy'_i
    attention = sum((e * x.dot(test) for e, (x, _) in zip(signals, examples, strict=True)), sp.zeros(2, 1))
    return sp.expand(stepped * test - w * test - attention) == sp.zeros(2, 1)


CLAIM = Claim(
    source="Y App. A.1, Eq. 5 to 7 (after Irie et al. 2022), arXiv:2406.03768v2",
    statement="After gradient descent $Ŵ x = W x + Σ_i e_i (x_iᵀ x)$: linear attention with values $e_i = -η "
    "∂L/∂y'_i$, keys $x_i$ and query $x$.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="Three steps on a sum of losses $log cosh(W x_i - y_i)$, gradients by automatic differentiation, "
    "against attention that never forms a matrix of weights; the signals $e_i$ of the steps add up. It says that every "
    "such update is attention, not that every attention layer descends a loss.",
    proof=proof,
    requires=(),
    controls=(
        Control("gradient ascent", predict=lambda case: predict(case, sign=1.0)),
        Control("one step fewer", predict=lambda case: predict(case, steps=_STEPS - 1)),
        Control("off by 1 %", predict=lambda case: predict(case, size=1.01)),
    ),
    cases=lambda factory: factory.one_layer,
)
