"""The readout rung: what the loss reads are d_x numbers, and the information in them bounds the gap."""

from icl_theory.claims.engine.cases import CLIP, Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.gap_by_hand import bound_by_hand
from icl_theory.claims.quantities.ladder_values import generalization_gap
from icl_theory.core.estimate import Estimate


def bound(case: Case) -> Estimate:
    """$sqrt(2 R² I(p; H_s) / N)$."""
    return case.ladder().rungs["readout"]


def _scaled(case: Case, factor: float) -> Estimate:
    return Estimate(factor * bound(case).value, factor * bound(case).stderr)


def _nats(case: Case, name: str) -> Estimate:
    return case.ladder().information[name]


CLAIM = Claim(
    source="new",
    statement="$gap ≤ sqrt(2 R² I(p; H_s) / N)$ with $p$ the label row of $W$ on inputs, the $d_x$ numbers that the "
    "loss reads.",
    origin="new",
    relation="at most",
    measure=generalization_gap,
    predict=bound,
    trivial=lambda case: CLIP,
    explanation="Clipped squared error ($R = c/2$), $N = 80$, $b = 20$. At $L = 1$ "
    "$p$ is Gaussian given the demonstrations, in at most $d_x$ dimensions, and the bound is finite from $N - 1 ≥ d_x$ "
    "on; at $L > 1$ the information of the path stands for it. By data processing it is below what all of $W$ tells (a "
    "control).",
    controls=(
        Control(
            "at most the information in all of W",
            measure=lambda case: _nats(case, "readout"),
            predict=lambda case: _nats(case, "mutual_information"),
            trivial=None,
            cases=lambda factory: factory.random(1),
            expected=Verdict.HOLDS,
        ),
        Control(
            "the bound from its information: $R = c/2$, $N$ demonstrations",
            measure=lambda case: bound(case).value,
            predict=lambda case: bound_by_hand(case, "readout"),
            relation="equal",
            trivial=None,
            expected=Verdict.HOLDS,
        ),
        Control("bound / 20", predict=lambda case: _scaled(case, 0.05)),
        Control(
            "bound / 5 on the population risk",
            measure=lambda case: case.ladder().population_loss,
            predict=lambda case: _scaled(case, 0.2),
        ),
    ),
)
