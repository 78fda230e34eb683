"""App. B.5: the clipping rate chosen on one task can improve or deteriorate another."""

from functools import lru_cache

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities import shifted_tasks


@lru_cache(maxsize=128)
def extremes(case: Case) -> tuple[float, float]:
    """Relative change of the exact risk on the other tasks that validation calls the most improved and the most harmed.

    All with five demonstrations; the rate of W_K is the best of ξ ≥ 0.1 on the noisy task.
    """
    rate = min(
        shifted_tasks.RATES[1:],
        key=lambda r: shifted_tasks.validated(case, shifted_tasks.HARD, shifted_tasks.FEW, "key", r),
    )
    ratios = {
        name: shifted_tasks.validated(case, task, shifted_tasks.FEW, "key", rate)
        / shifted_tasks.validated(case, task, shifted_tasks.FEW, "key", 0.0)
        for name, task in shifted_tasks.OTHERS.items()
    }
    ends = (min(ratios, key=lambda name: ratios[name]), max(ratios, key=lambda name: ratios[name]))
    improved, harmed = (shifted_tasks.rise(case, shifted_tasks.OTHERS[name], shifted_tasks.FEW, rate) for name in ends)
    return improved, harmed


def both(case: Case) -> float:
    """The smaller of: the gain on the most improved task, the loss on the most harmed one, both relative."""
    improved, harmed = extremes(case)
    return min(-improved, harmed)


CLAIM = Claim(
    source="Y App. B.5, arXiv:2406.03768v2, on small models",
    statement="A clipping rate chosen on one task lowers the risk of some other task and raises that of another.",
    origin="paper",
    relation="at least",
    measure=both,
    explanation="One-layer models shown five demonstrations; the rate $ξ ≥ 0.1$ of $W_K$ is chosen with label noise 2 "
    "and applied to the task of training, to one without label noise, to small and to anisotropic inputs. Validation "
    "prompts say which of them gains and which loses most, the exact risk decides. The tasks were found on the seeds "
    "of one exploratory run.",
    requires=("linear regression", "5 input dimensions"),
    controls=(
        Control("it never raises the risk", measure=lambda case: -extremes(case)[1]),
        Control("it never lowers the risk", measure=lambda case: extremes(case)[0]),
    ),
    cases=lambda factory: factory.trained_seeds(1),
    over_seeds=True,
)
