"""Remark 3: Gaussian noise of the right covariance acts on the test risk as showing a subset of the demonstrations."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import CLIP, Case, demonstration_sets, noisy_outputs
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities import prompt_errors
from icl_theory.core.estimate import Estimate
from icl_theory.descent.implied_weights import implied_weights
from icl_theory.information.ladder.losses import population_loss

MARGIN = 0.15


@lru_cache(maxsize=256)
def subset_risk(case: Case, shots: int) -> np.ndarray:
    """Clipped test risk of every run when the same `shots` of its demonstrations are shown to all layers."""
    tokens = demonstration_sets(case)[:, :shots]
    stack = np.einsum("kni,knj->kij", tokens, tokens) / shots
    return population_loss(prompt_errors.implied(case.model, stack), case.task, case.task_vector, CLIP)


@lru_cache(maxsize=128)
def noisy_risk(case: Case) -> np.ndarray:
    """Clipped test risk of every run with fresh Gaussian noise in every layer."""
    return population_loss(implied_weights(noisy_outputs(case), "minus"), case.task, case.task_vector, CLIP)


def difference(case: Case, shots: int = 0) -> Estimate:
    """$|E L_μ(noisy) - E L_μ(subset)|$, run by run on the same demonstrations."""
    found = prompt_errors.mean(noisy_risk(case) - subset_risk(case, shots or case.ladder_shots), "loss")
    return Estimate(abs(found.value), found.stderr, found.samples, "unbiased", "loss")


def allowed(case: Case, margin: float = MARGIN) -> float:
    """The margin, as a share of the subset's risk."""
    return margin * float(subset_risk(case, case.ladder_shots).mean())


def _noisy_against_five(case: Case) -> Estimate:
    """A quarter of the shots for the subset, not for the noise."""
    return difference(case, max(case.ladder_shots // 4, 1))


def _noisy_against_two(case: Case) -> Estimate:
    """A tenth of the shots."""
    return difference(case, max(case.ladder_shots // 10, 1))


CLAIM = Claim(
    source="Y Remark 3 as far as it can be tested, arXiv:2406.03768v2",
    statement=f"Test risks of the noisy and of the subset trajectory of trained models differ by at most {MARGIN:.0%}.",
    origin="reading",
    relation="at most",
    measure=difference,
    predict=allowed,
    explanation="The paper says similar, of stochastic gradient descent and of transformers; the margin is ours, set "
    "after seeing some seeds, and far below the difference found at three layers. Clipped squared error ($c = 4$), "
    "$N = 80$, $b = 20$: fresh Gaussian noise of the exact covariance in every layer against the same $b$ "
    "demonstrations in all layers, as in a real forward pass. At one layer the two agree (a control that holds). "
    "Trained three-layer models undo in later layers what the same demonstrations did in earlier ones; fresh noise is "
    "not undone.",
    controls=(
        Control("one layer", cases=lambda factory: factory.trained_seeds(1), expected=Verdict.HOLDS),
        *(
            Control(f"one layer, {words} demonstrations shown", measure=m, cases=lambda w: w.trained_seeds(1))
            for words, m in (("five", _noisy_against_five), ("two", _noisy_against_two))
        ),
    ),
    cases=lambda factory: factory.trained_seeds(factory.depth),
    over_seeds=True,
)
