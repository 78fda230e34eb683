"""At the exact optimum truncation cannot help: what pruning gains it must gain from weights that are not optimal."""

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.anisotropic_optima import anisotropic_optima
from icl_theory.risk.population import population_risk
from icl_theory.truncation.module_truncation import truncate_weights

_MODULES = ("value", "key", "query", "attention")
_DISTURBANCE = 0.5


def risk(case: Case) -> float:
    """Exact population risk of the case's weights."""
    return population_risk(case.model, case.task, shots=case.training_shots).value


def measure(case: Case) -> np.ndarray:
    """Exact risk after truncation of $W_V$, $W_K$, $W_Q$ or all three, at every rank."""
    cut = [
        truncate_weights(case.model, layer=0, module=module, rank=rank)
        for module in _MODULES
        for rank in range(case.model.token_dim + 1)
    ]
    return np.array([risk(case.with_model(model, "cut")) for model in cut])


def disturbed(case: Case) -> Case:
    """The optimum with noise on W_K and W_Q, of half their norms."""
    rng, matrices = np.random.default_rng(case.seed), {}
    for name in ("key", "query"):
        matrix = np.array(getattr(case.model, name))
        noise = rng.standard_normal(matrix.shape)
        matrices[name] = matrix + _DISTURBANCE * np.linalg.norm(matrix) / np.linalg.norm(noise) * noise
    return case.with_model(case.model.replace(**matrices), "disturbed")


def _optima(factory: CaseFactory) -> list[Case]:
    return [*anisotropic_optima(factory), *factory.constructed(1)[1:]]


def _disturbed_optima(factory: CaseFactory) -> list[Case]:
    return [disturbed(case) for case in _optima(factory)]


CLAIM = Claim(
    source="new; on Y Section 2, arXiv:2406.03768v2, at the optimum of Ahn et al. 2023 Theorem 1",
    statement="At the exact one-layer optimum no truncation of $W_V$, $W_K$, $W_Q$ or all three lowers the population "
    "risk.",
    origin="new",
    relation="at least",
    measure=measure,
    predict=risk,
    explanation="Exact risks at every rank, for anisotropic and isotropic inputs, where the models are used as they "
    "were made. Noise on the weights is enough to change it: of a disturbed optimum some truncation lowers the risk (a "
    "control that fails), so gains need finite training, noisy weights or a shift between training and use.",
    controls=(
        Control("$W_K$ and $W_Q$ with noise on them", cases=_disturbed_optima),
        Control("risk raised by 1 %", predict=lambda case: 1.01 * risk(case)),
    ),
    cases=_optima,
)
