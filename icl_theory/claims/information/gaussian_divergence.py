"""App. A.5, Eq. 16 and 17: the divergence of a noisy increment from an isotropic Gaussian prior."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.noise.covariance import gradient_noise, sampling_factor

_DIRECTIONS, _VARIANCES = 4, (0.2, 1.0, 7.0)


def channel(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """G (d,), C (d, d) and g̃ (d,): the first layer's update seen in d ≤ 4 random directions, in units of its spread."""
    w, rng = case.model, np.random.default_rng(case.seed)
    size = min(_DIRECTIONS, gradient_noise(w, case.demonstrations, shots=case.shots).rank)
    left, right = rng.standard_normal((2, size, w.token_dim))
    values, scores = case.demonstrations @ w.value[0].T, case.demonstrations @ w.key[0].T @ w.query[0]
    seen = (values @ left.T) * (scores @ right.T)
    seen = seen / seen.std(axis=0)
    covariance = sampling_factor(len(seen), case.shots) * np.cov(seen.T, bias=True).reshape(size, size)
    return seen.mean(axis=0), covariance, rng.standard_normal(size)


def _log_density(points: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    white = np.linalg.solve(np.linalg.cholesky(covariance), (points - mean).T)
    return -0.5 * ((white**2).sum(axis=0) + np.linalg.slogdet(2 * np.pi * covariance)[1])


def measure(case: Case) -> np.ndarray:
    """$E_p log p/q$ for $p = N(-G, C)$, $q = N(-g̃, σ² I)$, twice; $2d$ points integrate a quadratic ratio exactly."""
    mean, covariance, reference = channel(case)
    spread = np.sqrt(len(mean)) * np.linalg.cholesky(covariance).T
    points = np.concatenate([spread, -spread]) - mean
    isotropic = [variance * np.eye(len(mean)) for variance in _VARIANCES]
    found = [(_log_density(points, -mean, covariance) - _log_density(points, -reference, q)).mean() for q in isotropic]
    return np.array([found, found])


def predict(case: Case, *, trace: float = 1.0, dimension: float = 1.0, half: float = 0.5) -> np.ndarray:
    """Eq. 16, with determinants, and Eq. 17, with the trace of a matrix logarithm, at three variances $σ²$."""
    mean, c, reference = channel(case)
    d, distance, s = len(mean), ((mean - reference) ** 2).sum(), np.array(_VARIANCES)
    first = 0.5 * np.log(s**d / np.linalg.det(c)) - 0.5 * dimension * d
    first = first + (distance + trace * np.trace(c)) / (2 * s)
    volume = np.log(np.linalg.eigvalsh(c)).sum()  # tr log C
    second = half * ((distance + trace * np.trace(c)) / s + d * np.log(s) - dimension * d - volume)
    return np.stack([first, second])


def proof() -> bool:
    """$d = 2$ with symbols: $E_p log p/q$ from the moments of $p$, and $tr log C = log det C$ in the eigenbasis of
    $C$."""
    g, r = (sp.Matrix(sp.symbols(f"{name}:2", real=True)) for name in "gr")
    a, b, c, s = sp.symbols("a b c s", positive=True)
    cov = sp.Matrix([[a, b], [b, c]])
    first, second = sp.symbols("e:2")  # centred coordinates, E e eᵀ = C
    e = sp.Matrix([first, second])
    own = (e.T * cov.inv() * e).trace() + sp.log(cov.det())
    prior = (g + e - r).dot(g + e - r) / s + 2 * sp.log(s)
    moments = {1: 1, first**2: a, first * second: b, second**2: c}
    monomials = sp.Poly(sp.expand(prior - own), first, second).as_dict()
    terms = [k * moments.get(first ** powers[0] * second ** powers[-1], 0) for powers, k in monomials.items()]
    divergence = sum(terms, sp.Integer(0)) / 2
    printed = ((g - r).dot(g - r) / s + (a + c) / s + 2 * sp.log(s) - 2 - sp.log(cov.det())) / 2
    t, u, v = sp.symbols("t u v", positive=True)
    turn = sp.Matrix([[1 - t**2, -2 * t], [2 * t, 1 - t**2]]) / (1 + t**2)
    logarithm = (turn * sp.diag(sp.log(u), sp.log(v)) * turn.T).trace()
    volume = sp.simplify(logarithm - sp.log(u) - sp.log(v)) == 0
    return volume and sp.simplify(divergence - printed) == 0


CLAIM = Claim(
    source="Y App. A.5, Eq. 16 and 17, arXiv:2406.03768v2",
    statement="$KL(N(-G, C) || N(-g̃, σ² I)) = ½ [(||G - g̃||² + tr C)/σ² + d log σ² - d - tr log C]$, and Eq. 16 says "
    "the same.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="The first layer's update and its noise in four directions (fewer where the noise has fewer), three "
    "variances; the divergence by a cubature that is exact for quadratics, against both displays.",
    proof=proof,
    requires=(),
    controls=(
        Control("$½ d$ dropped", predict=lambda case: predict(case, dimension=0.0)),
        Control("$tr C$ dropped", predict=lambda case: predict(case, trace=0.0)),
        Control("factor $½$ of Eq. 17 dropped", predict=lambda case: predict(case, half=1.0)),
    ),
    tolerance=1e-9,
)
