"""One subset of demonstrations for all layers, as in a forward pass: every layer observes S with the same noise."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Assumption, Claim, Control
from icl_theory.claims.quantities.support_maps import basis_images
from icl_theory.core.symmetric import symmetric_coordinates
from icl_theory.models.attention import forward
from icl_theory.noise.covariance import layer_factors


def _maps(case: Case, tokens: list[np.ndarray]) -> list[np.ndarray]:
    """I + W_t for t = 0..L, unit vectors being sent as queries through layers that see the demonstrations given.

    Layer t sees tokens[t], moved by the maps of the layers before it: with equal entries this is the forward pass.
    """
    current, found = np.eye(case.model.token_dim), [np.eye(case.model.token_dim)]
    for layer in range(case.layers):
        w = case.model
        one = w.replace(value=w.value[layer], key=w.key[layer], query=w.query[layer])
        moved = tokens[layer] @ current.T
        current = np.array([forward(one, moved, column) for column in current.T]).T
        found.append(current)
    return found


def observations(case: Case, tokens: list[np.ndarray]) -> np.ndarray:
    """svec X_t with W_t - W_{t-1} = A_t X_t B_t, solved for in D² coordinates; shape (L, D(D+1)/2)."""
    maps = _maps(case, tokens)
    found = []
    for layer in range(case.layers):
        left, right = layer_factors(case.model, layer, maps[layer] - np.eye(len(maps[0])))
        increment = (maps[layer + 1] - maps[layer]).ravel()
        found.append(np.linalg.lstsq(basis_images(left, right), increment, rcond=None)[0])
    return np.array(found)


def moment(tokens: np.ndarray) -> np.ndarray:
    """svec of the second moment of demonstrations (b, D)."""
    return symmetric_coordinates(tokens.T @ tokens / len(tokens))


def _shown(case: Case, start: int = 0) -> np.ndarray:
    return np.roll(case.demonstrations, -start, axis=0)[: case.shots]


def same(case: Case) -> np.ndarray:
    """The observations of all layers when every one of them sees the first $b$ demonstrations."""
    return observations(case, [_shown(case)] * case.layers)


def fresh(case: Case) -> np.ndarray:
    """The observations when layer t sees b demonstrations of its own."""
    return observations(case, [_shown(case, 3 * layer) for layer in range(case.layers)])


@lru_cache(maxsize=128)
def _condition(case: Case) -> float:
    maps, worst = _maps(case, [_shown(case)] * case.layers), 0.0
    for layer in range(case.layers):
        factors = layer_factors(case.model, layer, maps[layer] - np.eye(len(maps[0])))
        worst = max(worst, float(np.linalg.cond(basis_images(*factors))))
    return worst


RESOLVED = Assumption(
    "every map $X → A X B$ is invertible with a condition number below 1e6, so that $X$ is solved for to 1e-8",
    holds=lambda case: _condition(case) < 1e6,
)


def _cases(factory: CaseFactory) -> list[Case]:
    return [*factory.random(factory.depth), *factory.trained(factory.depth), *factory.random(1)[:1]]


def predict(case: Case) -> np.ndarray:
    """$S_b$ of the demonstrations shown, for every layer."""
    return np.tile(moment(_shown(case)), (case.layers, 1))


CLAIM = Claim(
    source="new; on the fresh noise of Y Assumption 1, arXiv:2406.03768v2",
    statement="When all layers see the same $b$ demonstrations, every increment pulls back to the one observation "
    "$S_b$: $L$ layers carry one layer's information, $I(W_{1:L}; H_s) = I(S_b; H_s)$.",
    origin="new",
    relation="equal",
    measure=same,
    predict=predict,
    assumptions=(RESOLVED,),
    explanation="Unit vectors are sent through the model token by token, and $A_t X_t B_t = W_t - W_{t-1}$ is solved "
    "for $X_t$. A bound needs no factor $L$ when all layers see one observation of $S$. For the subset itself both "
    "sides are +inf: $S_b$ is a function of the demonstrations. Finite is what a Gaussian observation tells, or what "
    "$I(S_b; h_1)$ does (forward_pass_bounds).",
    controls=(
        Control("other demonstrations in every layer", measure=fresh, cases=lambda w: w.random(w.depth)),
        Control("all $N$ demonstrations", predict=lambda case: np.tile(moment(case.demonstrations), (case.layers, 1))),
        Control("one demonstration exchanged", predict=lambda c: np.tile(moment(_shown(c, 1)), (c.layers, 1))),
    ),
    cases=_cases,
    tolerance=1e-7,
)
