"""The deterministic forward pass: the loss-difference bound holds for every supersample, exactly."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import CLIP, Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.submodels import with_mlp
from icl_theory.information.ladder.losses import BoundedLoss
from icl_theory.information.supersample.supersample_bounds import SupersampleBounds, supersample_bounds
from icl_theory.models.model import Model

_DEMONSTRATIONS, _SUPERSAMPLES = 6, 16


def _two_heads(first: Case, second: Case) -> Case:
    """Two models of one head side by side in every layer."""
    stacked = (
        np.stack([getattr(case.model, name) for case in (first, second)], axis=1) for name in ("value", "key", "query")
    )
    return first.with_model(Model.create(*stacked, heads=2), "two heads")


@lru_cache(maxsize=4)
def _family(factory: CaseFactory) -> list[Case]:
    """A softmax, which makes a kernel smoother of a gradient step; a causal mask; ReLU; two heads."""
    single, step = factory.random(1)[0], factory.constructed(1)[0]
    with_relu = with_mlp(single)
    return [
        step.with_model(step.model.replace(kind="softmax"), "softmax"),
        *(
            case.with_model(case.model.replace(mask="causal"), "causal mask")
            for case in factory.trained(factory.depth)[:1]
        ),
        with_relu.with_model(with_relu.model.replace(activation="relu"), "ReLU"),
        _two_heads(single, step),
    ]


@lru_cache(maxsize=512)
def bounds(case: Case, loss: BoundedLoss) -> SupersampleBounds:
    """All 2⁶ selections of 16 supersamples of the case's task, by the forward pass of its model."""
    return supersample_bounds(
        case.model,
        case.task,
        demonstrations=_DEMONSTRATIONS,
        supersamples=_SUPERSAMPLES,
        key=case.seed,
        loss=loss,
        clip=CLIP,
        task_vector=case.task_vector,
    )


def _both(case: Case) -> list[SupersampleBounds]:
    return [bounds(case, "zero_one"), bounds(case, "clipped_squared")]


def _not_linear(factory: CaseFactory) -> list[Case]:
    return _family(factory)[:-1]


def _of_linear_attention(case: Case) -> np.ndarray:
    """sqrt(2 I) of the same weights under linear attention, on the same supersamples."""
    plain = case.model.replace(kind="linear", mask="demonstrations", activation="identity")
    return predict(case.with_model(plain, "linear"))


def measure(case: Case) -> np.ndarray:
    """$|E_U[(-1)^{U_i} Δ_i | z̃]| / c$ for both losses, shape (2, supersamples, $N$)."""
    return np.array([np.abs(b.pointwise["gap"]) / b.trivial for b in _both(case)])


def information(case: Case) -> np.ndarray:
    """I(Δ_i; U_i | Z̃ = z̃) for both losses, in nats."""
    return np.array([b.pointwise["loss_difference_cmi"] for b in _both(case)])


def predict(case: Case) -> np.ndarray:
    """$sqrt(2 I)$, in units of $c$."""
    return np.sqrt(2 * information(case))


def _marginal(case: Case) -> np.ndarray:
    """sqrt(2 I(Δ_J; U_J)), the same for all supersamples and pairs of a loss."""
    nats = [b.information["loss_difference_mi"].value for b in _both(case)]
    return np.broadcast_to(np.sqrt(2 * np.array(nats))[:, None, None], information(case).shape)


def _bounds(case: Case) -> np.ndarray:
    return np.array([b.rungs["loss_difference_cmi"].value for b in _both(case)])


def _means(case: Case) -> np.ndarray:
    """c times the mean of the roots, c = 1 for the 0-1 loss."""
    return np.array([1.0, CLIP]) * predict(case).mean(axis=(1, 2))


CLAIM = Claim(
    source="Wang and Mao 2023, arXiv:2302.02432v3, after Steinke and Zakynthinou 2020, arXiv:2001.09122; rounding: new",
    statement="With all $N$ demonstrations shown ($b = N$, $I(W; H_s) = ∞$), $|E[(-1)^{U_i} Δ_i | z̃]| ≤ "
    "c sqrt(2 I(Δ_i; U_i | Z̃ = z̃))$ for every supersample and pair; the mean over them bounds the gap.",
    origin="new",
    relation="at most",
    measure=measure,
    predict=predict,
    trivial=lambda case: 1.0,
    explanation="All 64 selections from 16 supersamples of six pairs are run, for the 0-1 loss of the sign and the "
    "clipped squared error rounded at random to its two ends: both sides are exact and nothing is estimated. The "
    "constant is $c$, not $c/2$, since a difference of losses ranges over $[-c, c]$. Softmax attention, a causal mask, "
    "an MLP with ReLU and two heads are among the cases.",
    controls=(
        Control(
            "the bounds are means of these roots, in units of the loss",
            measure=_bounds,
            predict=_means,
            relation="equal",
            trivial=None,
            expected=Verdict.HOLDS,
        ),
        Control("$R = c/2$, the constant of a single loss", predict=lambda case: predict(case) / 2),
        Control("the information about the next pair's bit", predict=lambda case: np.roll(predict(case), 1, axis=-1)),
        Control(
            "one bit's information shared by all pairs", predict=lambda case: predict(case) / np.sqrt(_DEMONSTRATIONS)
        ),
        Control("conditioning on the supersample forgotten", predict=_marginal),
        Control(
            "$R = c/2$ under softmax, causal mask and ReLU", predict=lambda case: predict(case) / 2, cases=_not_linear
        ),
        Control(
            "the information of linear attention with the same weights", predict=_of_linear_attention, cases=_not_linear
        ),
    ),
    cases=lambda factory: [*factory.standard(), *_family(factory)],
)
