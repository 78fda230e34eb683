"""Many demonstrations: one layer's Gaussian rung is ½ d_S log(N/(N-b)) plus a 1/N correction known in closed form."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.isotropic_cost import RESOLVED_SPECTRUM
from icl_theory.claims.quantities.support_maps import basis_images, moment_covariance
from icl_theory.core.estimate import Estimate
from icl_theory.information.covariance_roots import covariance_root
from icl_theory.information.ladder.large_sample_limit import observation_correction, observation_information
from icl_theory.information.ladder.rungs import mean_estimate
from icl_theory.noise.covariance import gradient_noise, layer_factors

_N, _SHOTS, _RUNS = 480, 120, 200


@lru_cache(maxsize=64)
def measure(case: Case) -> Estimate:
    """$½ (log det_V E(C + (G - E G)(G - E G)ᵀ) - E log det_V C)$ from `gradient_noise` of fresh demonstrations, in
    nats."""
    rng = np.random.default_rng(case.seed)
    vectors = np.broadcast_to(case.task_vector, (_RUNS, case.task.dim))
    tokens = case.task.sample_tokens(rng, vectors, _N)
    factors = layer_factors(case.model, 0, np.zeros((1, 1)))
    volume = (
        2
        * np.log(
            np.linalg.svd(basis_images(*factors) @ covariance_root(moment_covariance(case, _SHOTS)), compute_uv=False)
        ).sum()
    )
    logs = [gradient_noise(case.model, run, shots=_SHOTS).log_pseudo_determinant for run in tokens]
    return mean_estimate(0.5 * (volume - np.array(logs)), "unbiased", "nats")


def predict(case: Case, correction: float | None = None, dimension: int | None = None) -> float:
    """$½ d_S log(N/(N-b)) + (E|z|⁴ - d_S)/(4N)$, or with another correction or dimension."""
    width = case.model.token_dim
    first = observation_information(dimension or width * (width + 1) // 2, _N, _SHOTS)
    return first + (observation_correction(width, _N) if correction is None else correction)


def _wishart(case: Case) -> float:
    """What the correction would be if svec(h hᵀ) were Gaussian: E|z|⁴ = d(d + 2)."""
    d = case.model.token_dim * (case.model.token_dim + 1) // 2
    return d * (d + 1) / (4 * _N)


def _cases(factory: CaseFactory) -> list[Case]:
    some = (factory.profile.seeds + 1) // 2
    return [*factory.random(1)[:some], *factory.trained(1)[:some]]


CLAIM = Claim(
    source="new",
    statement="With one invertible layer the Gaussian rung is $½ d_S log(N/(N-b)) + (E|z|⁴ - d_S)/(4N) + O(1/N²)$.",
    origin="new",
    relation="equal",
    measure=measure,
    predict=predict,
    assumptions=(RESOLVED_SPECTRUM,),
    explanation="$N = 480$, where $1/N²$ is far below the error bar. $z$ is $svec(h hᵀ)$ standardised; for Gaussian "
    "tokens $E|z|⁴$ is a polynomial of their dimension. At $D = 6$ and $N = 80$ the correction is the larger of the "
    "two terms.",
    requires=("linear regression", "token covariance of full rank", "Gaussian tokens"),
    controls=(
        Control("correction dropped", predict=lambda case: predict(case, 0.0)),
        Control("correction of Gaussian features", predict=lambda case: predict(case, _wishart(case))),
        Control("$d_S = D²$", predict=lambda case: predict(case, dimension=case.model.token_dim**2)),
    ),
    cases=_cases,
)
