"""The forward pass of Eq. 3 written out, one token and one demonstration at a time.

Claims hold the package's own forward pass against it: a mask that is transposed, a normaliser that forgets the query or
a mean over the wrong number would change both sides of most claims about forward passes alike; here it changes one.
"""

import numpy as np

from icl_theory.claims.engine.cases import Case


def loop(case: Case, query: np.ndarray, *, kind: str = "linear", mask: str = "demonstrations") -> np.ndarray:
    """The query token after all layers; `mask` "causal" or "reversed": a demonstration sees no later, no earlier one.

    The query's value is masked. Under softmax its key is not: it counts in its own normaliser and, without a mask among
    the demonstrations, in theirs. Linear attention takes the mean over all N demonstrations.
    """
    w, tokens, query = case.model, list(case.demonstrations), np.array(query)
    for value, key, search in zip(w.value, w.key, w.query, strict=True):
        updates = []
        for place, token in enumerate([*tokens, query]):
            asks = mask == "demonstrations" or place == len(tokens)
            seen = tokens if asks else tokens[: place + 1] if mask == "causal" else tokens[place:]
            hidden = [query] if asks else []
            updates.append(value @ _read(token, seen, hidden, key.T @ search, kind, len(tokens)))
        *moved, last = updates
        tokens, query = [token + update for token, update in zip(tokens, moved, strict=True)], query + last
    return query


def _read(token: np.ndarray, seen: list, hidden: list, product: np.ndarray, kind: str, count: int) -> np.ndarray:
    """The mean of what is seen, weighted by scores; what is hidden counts in the softmax's normaliser alone."""
    scores = [other @ product @ token for other in seen]
    total = float(count)
    if kind == "softmax":
        largest = max(scores)
        total = sum(np.exp(other @ product @ token - largest) for other in [*seen, *hidden])
        scores = [np.exp(score - largest) for score in scores]
    return sum((score * other for score, other in zip(scores, seen, strict=True)), np.zeros_like(token)) / total


def gradients_token_by_token(case: Case) -> np.ndarray:
    """$G_1, ..., G_L$ from tokens that are really moved from layer to layer."""
    model, tokens = case.model, case.demonstrations
    m, gradients = np.eye(model.token_dim), []
    for value, key, query in zip(model.value, model.key, model.query, strict=True):
        delta = (tokens @ value.T).T @ (tokens @ key.T) @ query / len(tokens)
        gradients.append(delta @ m)
        tokens = tokens + tokens @ delta.T
        m = m + delta @ m
    return np.stack(gradients)
