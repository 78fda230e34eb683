"""App. B.4: the best clipping rate of a model varies with the number of demonstrations shown."""

from icl_theory.claims.engine import case_settings
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities import prompt_errors, shifted_tasks

SHOTS = (shifted_tasks.FEW, case_settings.SHOTS)


def _advantages(case: Case) -> list[float]:
    """By number of shots: how much larger the exact risk is at the rate validated with the other number of shots."""
    own, other = (shifted_tasks.best_rate(case, shifted_tasks.HARD, shots) for shots in SHOTS)
    result = []
    for shots, (home, away) in zip(SHOTS, ((own, other), (other, own)), strict=True):
        at_home, elsewhere = (
            shifted_tasks.risk(prompt_errors.clipped(case, 0, "key", rate), shifted_tasks.HARD, shots)
            for rate in (home, away)
        )
        result.append(elsewhere / at_home - 1)
    return result


def advantage(case: Case) -> float:
    """The smaller of the two advantages that a rate has where it was chosen, relative; 0 if the rates are the same."""
    return min(_advantages(case))


CLAIM = Claim(
    source="Y App. B.4, arXiv:2406.03768v2, on small models",
    statement=f"The clipping rate of $W_K$ that is best with {SHOTS[0]} demonstrations is not the one that is best "
    f"with {SHOTS[1]}, and the reverse.",
    origin="paper",
    relation="at least",
    measure=advantage,
    explanation="One-layer models, label noise 2; of the rates 0, 0.1, 0.5, 0.75 each number of shots chooses one on "
    "512 prompts of its own, and the exact risks decide whether each rate is better where it was chosen. The paper "
    "gives as the reason that the noise of the implicit gradient varies with the shots and the task; that reason is "
    "not tested here. The setting was found on the seeds of one exploratory run.",
    requires=("linear regression", "5 input dimensions"),
    controls=(
        Control("rates exchanged", measure=lambda case: -max(_advantages(case))),
        Control("the risk doubles with either rate elsewhere", predict=lambda case: 1.0),
    ),
    cases=lambda factory: factory.trained_seeds(1),
    over_seeds=True,
)
