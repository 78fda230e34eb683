"""P1 as the paper has it: clipping can enhance the performance of in-context learning."""

from functools import lru_cache

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities import prompt_errors, shifted_tasks
from icl_theory.models.options import Module


@lru_cache(maxsize=128)
def rise(case: Case) -> float:
    """Relative change of the exact risk by the module and rate $ξ ≥ 0.1$ that do best on validation prompts."""
    plans: list[tuple[Module, float]] = [
        (module, rate) for module in prompt_errors.MODULES for rate in prompt_errors.RATES
    ]
    module, rate = min(
        plans, key=lambda plan: shifted_tasks.validated(case, shifted_tasks.HARD, shifted_tasks.FEW, *plan)
    )
    return shifted_tasks.rise(case, shifted_tasks.HARD, shifted_tasks.FEW, rate, module)


def _heavy_where_trained(case: Case) -> float:
    return shifted_tasks.rise(case, shifted_tasks.OTHERS["training"], case.training_shots, 0.75, "attention")


CLAIM = Claim(
    source="Y Section 2.1 (finding P1), arXiv:2406.03768v2, on small models",
    statement="Clipping weights by SVD can lower the test risk, the module and the rate $ξ ≥ 0.1$ being chosen on "
    "validation prompts.",
    origin="paper",
    relation="at most",
    measure=rise,
    explanation="The paper chooses the rate where it reports it, on pre-trained language models. Here one-layer "
    "models trained with 20 demonstrations and label noise 0.5 are shown 5 demonstrations with label noise 2, each "
    "seed chooses on 512 prompts, and the exact population risk is compared. They trust few noisy demonstrations too "
    "much, and clipping $W_K$ or $W_Q$ makes them trust less. Where models are used as they were trained no such gain "
    "is found: see clipping_harmless and algorithm_1. The setting was found on the seeds of one exploratory run.",
    requires=("linear regression", "5 input dimensions"),
    controls=(
        Control("half of the risk gone", predict=lambda case: -0.5),
        Control("all of $W_V$, $W_K$, $W_Q$ at rank 1 on the task of training", measure=_heavy_where_trained),
    ),
    cases=lambda factory: factory.trained_seeds(1),
    over_seeds=True,
)
