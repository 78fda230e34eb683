"""Which weights a model has, in a few digits."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from icl_theory.models.model import Model


def fingerprint_of(model: "Model") -> str:
    """A few digits that are others for other weights; twelve for every matrix."""
    import jax
    import numpy as np

    from icl_theory.core.fingerprints import fingerprint

    return " ".join(fingerprint(np.asarray(matrix)) for matrix in jax.tree.leaves(model))
