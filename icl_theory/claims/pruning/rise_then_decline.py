"""App. B.6: as the clipping rate grows, does the performance first rise and then decline?"""

from functools import lru_cache

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities import prompt_errors
from icl_theory.core.estimate import Estimate
from icl_theory.truncation.module_truncation import truncate_weights

_VALIDATION = 512


@lru_cache(maxsize=256)
def parts(case: Case, layer: int = 0) -> tuple[Estimate, Estimate]:
    """log(error at the best rank below 6 / untouched), log(error at the best rank / at rank 1), on fresh prompts."""
    cuts = {
        rank: truncate_weights(case.model, layer=layer % case.layers, module="attention", rank=rank)
        for rank in range(1, case.model.token_dim)
    }
    scores = {r: prompt_errors.log_ratio(case, cut, case.training_shots, _VALIDATION).mean() for r, cut in cuts.items()}
    best = min(scores, key=lambda r: scores[r])
    chosen, last = (prompt_errors.log_ratio(case, cuts[r], case.training_shots, salt=1) for r in (best, 1))
    return prompt_errors.mean(chosen, "log ratio"), prompt_errors.mean(chosen - last, "log ratio")


def both(case: Case) -> Estimate:
    """The worse of rise and decline: below 0 only if the best rank beats no clipping and the heaviest clipping."""
    return max(parts(case), key=lambda part: part.value)


CLAIM = Claim(
    source="Y App. B.6 (3), arXiv:2406.03768v2, on small models",
    statement="As the attention of a layer is clipped more and more, the error first falls and then rises again.",
    origin="paper",
    relation="at most",
    measure=both,
    explanation="Trained three-layer models, the first layer's $W_V$, $W_K$ and $W_Q$ at every rank from 5 to 1; the "
    "best rank is chosen on 512 prompts and compared on 2048 others with no clipping (rise) and with rank 1 (decline). "
    "Layer, module and prompts were fixed before the first run. The decline is there, the rise is not.",
    controls=(
        Control("the decline alone", measure=lambda case: parts(case)[1], expected=Verdict.HOLDS),
        Control("the rise alone", measure=lambda case: parts(case)[0]),
        Control("the decline turned round", measure=lambda case: _turned(parts(case)[1])),
    ),
    cases=lambda factory: factory.trained_seeds(factory.depth),
    over_seeds=True,
)


def _turned(estimate: Estimate) -> Estimate:
    return Estimate(-estimate.value, estimate.stderr, estimate.samples, estimate.direction, estimate.unit)
