"""Universality: with invertible weights the Gaussian rung does not depend on the weights at all."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Assumption, Claim, Control
from icl_theory.claims.quantities.support_maps import basis_images, moment_covariance
from icl_theory.core.symmetric import outer_coordinates
from icl_theory.information.covariance_roots import covariance_root
from icl_theory.noise.covariance import layer_factors, sampling_factor
from icl_theory.truncation.module_truncation import truncate_weights

_RUNS = 24


def _draws(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Demonstrations (runs, N, D) and noise mixes (runs, L, N)."""
    rng = np.random.default_rng(case.seed)
    vectors = np.broadcast_to(case.task_vector, (_RUNS, case.task.dim))
    tokens = case.task.sample_tokens(rng, vectors, case.ladder_demonstrations)
    return tokens, rng.standard_normal((_RUNS, case.layers, case.ladder_demonstrations))


def independent_estimates(case: Case, *, layers: int, shots: int = 0) -> np.ndarray:
    """`layers` times ½ [log det Cov(svec h hᵀ)/b - log det C_X] of every run: no weight enters."""
    features = np.stack([outer_coordinates(t) for t in _draws(case)[0]])
    shots = shots or case.ladder_shots
    factor = sampling_factor(case.ladder_demonstrations, shots)
    volumes = [np.linalg.slogdet(factor * np.cov(f.T, bias=True))[1] for f in features]
    return layers / 2 * (np.linalg.slogdet(moment_covariance(case, shots))[1] - np.array(volumes))


@lru_cache(maxsize=256)
def dense_channel(case: Case, dimension: int = 21) -> tuple[np.ndarray, float]:
    """½ Σ_t log(pdet prior / pdet C_t) of every run in D² coordinates, and the worst condition number met.

    The gradient of every demonstration is written out in full and singular values are taken; nothing of the ladder
    is used, and the noisy trajectory is followed through all layers.
    """
    root = covariance_root(moment_covariance(case, case.ladder_shots))
    scale = np.sqrt(sampling_factor(case.ladder_demonstrations, case.ladder_shots) / case.ladder_demonstrations)
    totals, worst = np.zeros(_RUNS), 0.0
    for run, (tokens, mixes) in enumerate(zip(*_draws(case), strict=True)):
        accumulated = np.zeros((case.model.token_dim, case.model.token_dim))
        for layer, mix in enumerate(mixes):
            left, right = layer_factors(case.model, layer, accumulated)
            gradients = np.einsum("ni,nj->nij", tokens @ left.T, tokens @ right).reshape(len(tokens), -1)
            noise = scale * (gradients - gradients.mean(axis=0))
            for sign, matrix in ((1.0, basis_images(left, right) @ root), (-1.0, noise)):
                values = np.linalg.svd(matrix, compute_uv=False)[:dimension]
                totals[run] += sign * np.log(values).sum()
                worst = max(worst, float(values[0] / values[-1]))
            accumulated = accumulated + (gradients.mean(axis=0) + mix @ noise).reshape(accumulated.shape)
    return totals, worst


def _cut(case: Case) -> np.ndarray:
    """The same with W_V of the first layer at rank 5 (d_S = 20), for one-layer models."""
    model = truncate_weights(case.model, layer=0, module="value", rank=5)
    return dense_channel(case.with_model(model, "value at rank 5"), 20)[0]


def _some(factory: CaseFactory, layers: int) -> list[Case]:
    some = (factory.profile.seeds + 1) // 2
    return [*factory.random(layers)[:some], *factory.trained(layers)[:some]]


RESOLVED = Assumption(
    "every map has a condition number below 1e6, so that float64 resolves its determinant to 1e-9",
    holds=lambda case: dense_channel(case)[1] < 1e6,
)


def measure(case: Case) -> np.ndarray:
    """The Gaussian rung, run by run, from full $D² x N$ gradients along the noisy trajectory."""
    return dense_channel(case)[0]


def predict(case: Case) -> np.ndarray:
    """$L$ times the number made from $S$ and its sampling covariance alone."""
    return independent_estimates(case, layers=case.layers)


CLAIM = Claim(
    source="new",
    statement="With invertible weights the Gaussian rung is $L$ times a number that depends on $N$, $b$ and the data "
    "only.",
    origin="new",
    relation="equal",
    measure=measure,
    predict=predict,
    assumptions=(RESOLVED,),
    explanation="Pulled back to symmetric coordinates, gradient and noise of every layer are $S$ and its sampling "
    "covariance. Run by run, full $D² x N$ gradients of random and trained models along their noisy trajectories are "
    "compared with a number into which no weight enters. For Gaussian tokens the data drop out on "
    "average too: no task, noise level above 0, input covariance or pre-training enters the rung.",
    requires=("linear regression", "token covariance of full rank"),
    controls=(
        Control("$W_V$ at rank 5", measure=_cut, cases=lambda w: _some(w, 1)),
        Control("one shot more", predict=lambda c: independent_estimates(c, layers=c.layers, shots=c.ladder_shots + 1)),
        Control("one layer too many", predict=lambda c: independent_estimates(c, layers=c.layers + 1)),
    ),
    cases=lambda factory: [*_some(factory, 1), *_some(factory, 3)],
    tolerance=1e-9,
)
