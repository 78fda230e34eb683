"""Small channels whose information is exact: softmax attention as a discrete one, W_V with noise as a Gaussian one."""

import numpy as np

from icl_theory.claims.engine.cases import Case

_LARGEST_SCORE = 3.0  # keeps every probability of the discrete channel away from zero
PRIORS = 12


def discrete(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """p(x), shape (N,), and p(y | x), shape (N, N): token x attends to demonstration y in the first layer."""
    w, tokens = case.model, case.demonstrations
    scores = tokens @ w.query[0].T @ w.key[0] @ tokens.T
    scores = scores * (_LARGEST_SCORE / np.abs(scores).max())
    rows = np.exp(scores)
    source = np.random.default_rng(case.seed).dirichlet(np.ones(len(tokens)))
    return source, rows / rows.sum(axis=1, keepdims=True)


def discrete_information(source: np.ndarray, channel: np.ndarray) -> float:
    """I(X; Y) = H(Y) - H(Y | X)."""
    marginal = source @ channel
    return float(source @ (channel * np.log(channel)).sum(axis=1) - marginal @ np.log(marginal))


def discrete_divergence(source: np.ndarray, channel: np.ndarray, prior: np.ndarray) -> float:
    """E_x KL(p(y | x) || q)."""
    return float(source @ (channel * np.log(channel / prior)).sum(axis=1))


def discrete_priors(case: Case) -> list[np.ndarray]:
    """The marginal, and random distributions from near it to far from it."""
    source, channel = discrete(case)
    marginal, rng = source @ channel, np.random.default_rng(case.seed + 1)
    shares = np.linspace(0.0, 1.0, PRIORS)
    return [(1 - share) * marginal + share * rng.dirichlet(np.ones(len(marginal))) for share in shares]


def gaussian(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of A h and of the noise in y = A h + n: h a token, A = W_V; noise a tenth of the mean signal."""
    value = case.model.value[0]
    signal = value @ case.task.token_covariance(case.task_vector) @ value.T
    return signal, 0.1 * np.trace(signal) / len(signal) * np.eye(len(signal))


def gaussian_information(signal: np.ndarray, noise: np.ndarray) -> float:
    """½ log det(I + N^{-1} Σ), eigenvalue by eigenvalue."""
    return float(0.5 * np.log1p(np.linalg.eigvals(np.linalg.solve(noise, signal)).real).sum())


def gaussian_divergence(signal: np.ndarray, noise: np.ndarray, mean: np.ndarray, prior: np.ndarray) -> float:
    """E_h KL(N(A h, N) || N(m, V)) = ½ [tr V^{-1}(N + Σ + m mᵀ) - d + log det V - log det N]."""
    spread = np.trace(np.linalg.solve(prior, noise + signal + np.outer(mean, mean)))
    return float(0.5 * (spread - len(mean) + np.linalg.slogdet(prior)[1] - np.linalg.slogdet(noise)[1]))


def gaussian_priors(case: Case) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mean and covariance of the output's marginal, and of random Gaussians from near it to far from it."""
    signal, noise = gaussian(case)
    marginal, rng, size = signal + noise, np.random.default_rng(case.seed + 2), len(signal)
    result = []
    for share in np.linspace(0.0, 1.0, PRIORS):
        root = np.linalg.cholesky(marginal) @ (np.eye(size) + 0.3 * share * rng.standard_normal((size, size)))
        mean = share * np.linalg.cholesky(marginal) @ rng.standard_normal(size)
        result.append((mean, root @ root.T))
    return result


def divergences(case: Case, mass: float = 1.0) -> np.ndarray:
    """$E KL(P_{W|H} || Q)$ for priors $Q$ from the marginal to far from it.

    `mass`: the total to which the priors are scaled.
    """
    source, channel = discrete(case)
    atoms = [discrete_divergence(source, channel, mass * prior) for prior in discrete_priors(case)]
    normal = [gaussian_divergence(*gaussian(case), *prior) - np.log(mass) for prior in gaussian_priors(case)]
    return np.array([*atoms, *normal])
