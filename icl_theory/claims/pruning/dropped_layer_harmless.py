"""App. B.6: does it do no harm to drop a whole layer?"""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities import prompt_errors
from icl_theory.core.estimate import Estimate
from icl_theory.models.model import Model

_MARGIN, _VALIDATION = 0.05, 512


def without(model: Model, layer: int) -> Model:
    """The other layers."""
    return model.replace(**{name: np.delete(getattr(model, name), layer, axis=0) for name in ("value", "key", "query")})


@lru_cache(maxsize=256)
def log_rise(case: Case, layer: int | None = None) -> Estimate:
    """E log(error without a layer / with all), for the layer that validation prompts choose unless one is named."""
    if layer is None:
        ratios = [
            prompt_errors.log_ratio(case, without(case.model, t), case.training_shots, _VALIDATION).mean()
            for t in range(case.layers)
        ]
        layer = int(np.argmin(ratios))
    values = prompt_errors.log_ratio(case, without(case.model, layer), case.training_shots, salt=1)
    return prompt_errors.mean(values, "log ratio")


CLAIM = Claim(
    source="Y App. B.6 (drop-layer), arXiv:2406.03768v2, on small models",
    statement=f"Some layer of a trained model can be dropped with the test error rising by at most {_MARGIN:.0%}.",
    origin="paper",
    relation="at most",
    measure=log_rise,
    predict=lambda case: _MARGIN,
    explanation="Trained three-layer models, the layer chosen on 512 prompts, geometric mean of the squared error on "
    "2048 others. Margin fixed before the first run. The paper's models have 28 and 32 layers; in ours each layer is a "
    "step of gradient descent that is missed, and dropping any of equal steps costs the same (depth_symmetry).",
    controls=(
        Control("a thousandfold error", predict=lambda case: np.log(1e3), expected=Verdict.HOLDS),
        Control("the first layer", measure=lambda case: log_rise(case, 0)),
        Control("a gain of 10 %", predict=lambda case: -0.1),
    ),
    cases=lambda factory: factory.trained_seeds(factory.depth),
    over_seeds=True,
)
