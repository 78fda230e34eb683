"""The binary relative entropy form of a bound: tight where Pinsker's inequality is not, and never above the range."""

from itertools import product

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.core.binary_kl import binary_kl

_COUNT, _OUTPUTS = 4, 5
_TEMPERATURES = (0.5, 2.0, 8.0, 50.0)


def _kl(q: float, mu: float) -> float:
    """kl(q ‖ μ) written out."""
    parts = [a * np.log(a / b) for a, b in ((q, mu), (1 - q, 1 - mu)) if a > 0]
    return float(sum(parts))


def _gibbs(case: Case, temperature: float) -> tuple[float, float, float]:
    """E L̂, E L_μ and I(W; H) of an output that prefers small empirical loss, over all 16 sets of four bits."""
    losses = np.random.default_rng(case.seed).uniform(size=(_OUTPUTS, 2))  # ℓ(w, z)
    sets = np.array(list(product((0, 1), repeat=_COUNT)))
    empirical = losses[:, sets].mean(axis=2).T  # (sets, outputs)
    weights = np.exp(-temperature * empirical)
    channel = weights / weights.sum(axis=1, keepdims=True)
    marginal = channel.mean(axis=0)
    nats = float((channel * np.log(channel / marginal)).sum(axis=1).mean())
    population = losses.mean(axis=1)
    return float((channel * empirical).sum(axis=1).mean()), float(marginal @ population), nats


def _bit(advantage: float) -> tuple[float, float, float]:
    """The same for one bit that the output repeats up to flips with probability ½ - ε, ℓ = 1(W ≠ Z)."""
    flipped = 0.5 - advantage
    nats = np.log(2) + sum(p * np.log(p) for p in (flipped, 1 - flipped))
    return flipped, 0.5, float(nats)


def instances(case: Case) -> list[tuple[float, float, float, int]]:
    """(E L̂, E L_μ, I, N) of four Gibbs outputs and of the bit at ε = .1, .3, .45."""
    many = [(*_gibbs(case, temperature), _COUNT) for temperature in _TEMPERATURES]
    return [*many, *((*_bit(advantage), 1) for advantage in (0.1, 0.3, 0.45))]


def measure(case: Case) -> np.ndarray:
    """$N kl(q || u)$."""
    return np.array([count * _kl(q, mu) for q, mu, _, count in instances(case)])


def information(case: Case) -> np.ndarray:
    """$I(W; H_s)$, by enumeration."""
    return np.array([nats for _, _, nats, _ in instances(case)])


def _forms(case: Case) -> np.ndarray:
    """Finite rungs of the case's ladder in relative entropy form over the smaller of the root and c - E L̂."""
    ladder = case.ladder()
    most = ladder.trivial
    pairs = [(ladder.kl_rungs[name].value, min(rung.value, most)) for name, rung in ladder.rungs.items()]
    return np.array([kl / other for kl, other in pairs if np.isfinite(kl)])


CLAIM = Claim(
    source="new in this form; Donsker and Varadhan 1975, Maurer 2004 (arXiv:cs/0411099)",
    statement="$N kl(q/c || u/c) ≤ I(W; H_s)$ for a loss in $[0, c]$ of mean $q$ on the demonstrations and $u$ on "
    "fresh tokens; the bound it gives is never above $c$, nor "
    "above $c sqrt(I/(2N))$.",
    origin="new",
    relation="at most",
    measure=measure,
    predict=information,
    explanation="All sets of four bits with Gibbs outputs of four temperatures, and one bit repeated up to flips, "
    "where both sides are equal: the constant is seen to one per cent. The rungs of the ladders in this form stand "
    "below those by the root and below $c$ (a control that holds), so that none is vacuous by Pinsker's inequality "
    "alone.",
    requires=("cases of its own",),
    controls=(
        Control("information 1 % smaller", predict=lambda case: 0.99 * information(case)),
        Control(
            "the rungs of a ladder against the root and the range",
            measure=_forms,
            predict=lambda case: 1.0,
            cases=lambda factory: [*factory.random(1)[:2], *factory.random(factory.depth)[:2]],
            tolerance=1e-9,
            expected=Verdict.HOLDS,
        ),
        Control(
            "the library's relative entropy",
            measure=lambda case: np.array([n * binary_kl(q, mu - q) for q, mu, _, n in instances(case)]),
            predict=measure,
            relation="equal",
            tolerance=1e-9,
            expected=Verdict.HOLDS,
        ),
        Control("one demonstration more", measure=lambda case: measure(case) * 1.25),
    ),
    cases=lambda factory: factory.random(1),
    tolerance=1e-9,
)
