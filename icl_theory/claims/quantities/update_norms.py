"""Norms of the first layer's update and how they change when a module is truncated."""

from dataclasses import replace

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.models.attention import layer_update, second_moment
from icl_theory.models.options import Module
from icl_theory.truncation.svd import truncate


def first_layer_update(case: Case, **replaced: np.ndarray) -> np.ndarray:
    """ΔW of the first layer with some of its matrices replaced."""
    matrices = {name: getattr(case.model, name)[0] for name in ("value", "key", "query")} | replaced
    return layer_update(matrices["value"], matrices["key"], matrices["query"], second_moment(case.demonstrations))


def truncated_parts(case: Case, module: Module) -> tuple[np.ndarray, np.ndarray]:
    """||ΔW_r||_F² and ||ΔW - ΔW_r||_F² at every rank r when one module is truncated."""
    full = getattr(case.model, module)[0]
    kept = [first_layer_update(case, **{module: truncate(full, rank).matrix}) for rank in range(len(full) + 1)]
    norms = np.array([(w**2).sum() for w in kept])
    return norms, np.array([((first_layer_update(case) - w) ** 2).sum() for w in kept])


def update_norm(case: Case) -> float:
    """$||ΔW||_F²$."""
    return float((first_layer_update(case) ** 2).sum())


def rows_zeroed(case: Case, module: Module) -> float:
    """Kept plus dropped part when the first half of W's *columns* is kept instead of its leading singular part."""
    full = getattr(case.model, module)[0]
    half = full.copy()
    if module == "value":
        half[:, len(full) // 2 :] = 0.0
    else:
        half[len(full) // 2 :] = 0.0
    kept = first_layer_update(case, **{module: half})
    return float((kept**2).sum() + ((first_layer_update(case) - kept) ** 2).sum())


def norm_growth(case: Case, module: Module) -> np.ndarray:
    """||ΔW_r||_F² / ||ΔW||_F² at every rank."""
    return truncated_parts(case, module)[0] / update_norm(case)


def upper_bound(case: Case) -> float:
    """$UB = Σ_i ||W_V h_i ⊗ W_K h_i||_F² ||W_Q||_F²$."""
    w, tokens = case.model, case.demonstrations
    values, keys = tokens @ w.value[0].T, tokens @ w.key[0].T
    return float(((values**2).sum(1) * (keys**2).sum(1)).sum() * (w.query[0] ** 2).sum())


def with_equal_tokens(factory: CaseFactory) -> list[Case]:
    """All standard cases, and random ones whose demonstrations are all the same."""
    equal = [
        replace(
            c, demonstrations=np.tile(c.demonstrations[:1], (len(c.demonstrations), 1)), name=f"{c.name}, equal tokens"
        )
        for c in factory.random(1)
    ]
    return [*factory.standard(), *equal]


def summed_update_norm(case: Case) -> float:
    """$||ΔW||_F²$ of the first layer in the sum convention."""
    w = case.model
    moment = second_moment(case.demonstrations, "sum")
    return float((layer_update(w.value[0], w.key[0], w.query[0], moment) ** 2).sum())
