"""The exact gap of one gradient step: how large a generalization gap is, without a bound and without sampling."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.models.constructions import gradient_descent_weights
from icl_theory.risk.one_layer_gap import one_layer_gap

_SIZES, _SHOTS = (0.2, 0.5, 1.0), (1, 5, 20, 80)


def measure(case: Case) -> np.ndarray:
    """The gap of steps of three sizes at four numbers of demonstrations, from the moments of the case's tokens."""
    models = [gradient_descent_weights(case.task.dim, step_size=size) for size in _SIZES]
    options = {"task": case.task, "task_vector": case.task_vector}
    return np.array([[one_layer_gap(model, shots=n, **options).value for n in _SHOTS] for model in models])


def predict(case: Case, constant: int = 2, noise: float = 1.0) -> np.ndarray:
    """$2 η a/N - η² b$ of the statement, with $Σ_yy = |w|² + σ²$."""
    d, size, sigma = case.task.dim, case.task_vector @ case.task_vector, noise * case.task.noise_std**2
    eta, n = np.array(_SIZES)[:, None], np.array(_SHOTS)
    second = (2 / n) * (d + 1) * size + (sigma * d * (d + 1) + size * ((d + 1) * (d + 2) + constant)) / n**2
    return (2 * eta / n) * ((size + sigma) * d + size) - eta**2 * second


def proof() -> bool:
    """At $d = 1$: $E[(v - s) t² ]$ and $E[(v - s) t]$ by the moments of $x$ and $ε$, for every $N$ and $η$."""
    n, eta, w, sigma = sp.symbols("N eta w sigma", positive=True)

    def expected(power_x: int, power_e: int) -> sp.Expr:
        """E x^a ε^b of standard normals, ε scaled by σ."""
        if power_x % 2 or power_e % 2:
            return sp.Integer(0)
        return sp.factorial2(power_x - 1) * sp.factorial2(power_e - 1) * sigma**power_e

    x, e = sp.symbols("x e")

    def mean(polynomial: sp.Expr) -> sp.Expr:
        terms = sp.Poly(sp.expand(polynomial), x, e).terms()
        return sp.expand(sum(c * expected(a, b) for (a, b), c in terms))

    y = w * x + e
    a, b, c = x * y, x * x, y * y  # p = η mean a; loss of (x, y): y² - 2 p xy + p² x²
    ea, eb = mean(a), mean(b)
    # gap = -2 η E[(Ea - ā) ā] + η² E[(Eb - b̄) ā²], sums split by equal indices.
    first = -(mean(a * a) - ea**2) / n
    second = (
        eb * (mean(a * a) / n + (n - 1) / n * ea**2)
        - (
            n * mean(b * a * a)
            + n * (n - 1) * (eb * mean(a * a) + 2 * mean(b * a) * ea)
            + n * (n - 1) * (n - 2) * eb * ea**2
        )
        / n**3
    )
    gap = -2 * eta * first + eta**2 * second
    total = w**2 + sigma**2
    stated = 2 * eta / n * (total + w**2) - eta**2 * (4 / n * w**2 + (2 * sigma**2 + 8 * w**2) / n**2)
    return sp.simplify(gap - stated) == 0 and mean(c) == total


CLAIM = Claim(
    source="new",
    statement="For one gradient step $p = η S_xy$, all $N$ demonstrations shown, the gap of the squared error is "
    "$2 η a/N - η² b$ with $a = Σ_yy d + |w|²$, $b = 2 (d+1)|w|²/N + c/N²$ and "
    "$c = σ² d(d+1) + |w|² ((d+1)(d+2) + 2)$.",
    origin="new",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="The library's gap of any one-layer model, from Wishart moments up to the third, against the formula "
    "for a step of sizes .2, .5 and 1 at $N$ = 1, 5, 20 and 80. The derivation at $d = 1$ is symbolic. It tells how "
    "tight a rung is without Monte Carlo; the squared error itself is sub-exponential, so that no rung bounds it.",
    proof=proof,
    requires=(
        "linear regression",
        "no model but its own",
        "token covariance of full rank",
        "isotropic inputs and tasks",
    ),
    controls=(
        Control("$(d+1)(d+2) + 1$", predict=lambda case: predict(case, constant=1)),
        Control("no label noise", predict=lambda case: predict(case, noise=0.0)),
        Control("off by 1 %", predict=lambda case: 1.01 * predict(case)),
    ),
    cases=lambda factory: factory.random(1),
    tolerance=1e-10,
)
