"""Condition numbers of matrices and of the modules of a model."""

from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.ranks import Precision, coarsest, possible_precisions, precision_of, rank_range
from icl_theory.models.model import Model
from icl_theory.models.options import Module
from icl_theory.models.rank_notes import rank_notes
from icl_theory.truncation.module_truncation import present


def condition_number(matrix: Any, *, precision: Precision | None = None) -> float:
    """κ₂ = σ_max / σ_min; +inf for a singular matrix (σ_min below the rounding of its numbers).

    Args:
        matrix: shape (m, n).
        precision: what its numbers were rounded to, "float32" say; by their dtype if None.

    Raises: ValueError for NaN, a wrong shape, or a matrix that is singular if its numbers were rounded to float32 and
        invertible if they were not, while it does not say which.
    Source: Y Section 3.4, Case 1.

    Example:
        >>> from icl_theory import condition_number
        >>> condition_number([[2.0, 0.0], [0.0, 0.5]])
        4.0
    """
    precision = coarsest(precision, precision_of(matrix))
    matrix = checks.array("matrix", matrix, (None, None))
    values, side = np.linalg.svd(matrix, compute_uv=False), min(matrix.shape)
    found = [rank_range(matrix, name) for name in possible_precisions(matrix, precision)]
    singular = [ranks.most < side for ranks in found]
    if any(singular) and any(ranks.least == side for ranks in found):
        got, hint = "numbers of float32 in float64", "say precision='float32' if they were rounded, else 'float64'"
        raise checks.error("precision of the matrix", got, "a precision that says whether σ_min is zero", hint)
    return float("inf") if any(singular) else float(values[0] / values[-1])


def module_condition_number(model: Model, layer: int, module: Module) -> float:
    """The largest κ₂ of the module's matrices in one layer; of W_KᵀW_Q that of the product.

    Args:
        model: a single model.
        layer: counted from 0.
        module: as in `truncate_weights`.

    Raises: ValueError for a layer out of range or a module that the weights lack.
    Source: Y Section 3.4 and Algorithm 1 (arXiv:2406.03768v2); the largest of several matrices: our reading.
    """
    layer = checks.integer("layer", layer, 0, model.layers - 1, "layers are counted from 0")
    names = present(model, module)
    if names == ("key_query",):
        factors = max(module_condition_number(model, layer, name) for name in ("key", "query"))
        products = np.swapaxes(model.key[layer], -1, -2) @ model.query[layer]
        heads = products.reshape(-1, *products.shape[-2:])
        return factors if np.isinf(factors) else max(condition_number(head, precision="float64") for head in heads)
    largest = 0.0
    for name in names:
        matrices = getattr(model, name)
        heads = matrices[layer] if np.ndim(matrices) == 4 else matrices[layer][None]
        known = rank_notes(model.ranks, name, model.layers * len(heads))[layer * len(heads) :]
        for head, rank in zip(heads, known, strict=False):
            deficient = rank is not None and rank < min(head.shape)
            own = np.inf if deficient else condition_number(head, precision=model.precision)
            largest = max(largest, own)
    return largest
