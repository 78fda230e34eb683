"""I(A; U) for a fair bit U (which of the two tokens of a supersample pair was shown) and several choices of A."""

import numpy as np


def selections(demonstrations: int, count: int | None, rng: np.random.Generator) -> np.ndarray:
    """All 2^N selections U (M, N), or if given `count` of them in complementary pairs, so that each U_i is balanced."""
    if count is None:
        return (np.arange(2**demonstrations)[:, None] >> np.arange(demonstrations)) % 2 == 1
    half = rng.random((count // 2, demonstrations)) < 0.5
    return np.concatenate([half, ~half])


def bit_information(laws: np.ndarray) -> np.ndarray:
    """I(A; U) = Σ_a m(a) [t artanh t + ½ log(1 - t²)] in nats, m = (p_0 + p_1)/2, t = (p_0 - p_1)/(p_0 + p_1).

    It is the Jensen-Shannon divergence of p_0 = P(A | U = 0) and p_1 = P(A | U = 1), in a form without cancellation:
    every term is at least 0, also after rounding, and one with |t| = 1 is m log 2. Jointly convex in the laws, so that
    estimated laws, unbiased for the true ones, give too large a value in expectation, never too small a one.

    Args:
        laws: p_0 and p_1, shape (..., 2, symbols).

    Returns: nats, shape (...).
    """
    total = laws.sum(axis=-2)
    difference = laws[..., 0, :] - laws[..., 1, :]
    t = difference / np.where(total > 0, total, 1.0)
    mixed = np.abs(t) < 1
    inner = np.where(mixed, t, 0.0)
    terms = np.where(mixed, inner * np.arctanh(inner) + 0.5 * np.log1p(-(inner**2)), np.log(2.0))
    return (total / 2 * terms).sum(axis=-1)


def atom_information(values: np.ndarray, bits: np.ndarray) -> float:
    """I(A; U) of equally likely runs: values A (M, ...), equal ones being a symbol, and bits U (M,), half of them 1."""
    first, *others = values.reshape(len(values), -1).T
    index = np.unique(first, return_inverse=True)[1]
    for column in others:
        if index.max() + 1 == len(values):
            break  # every run is a symbol of its own already
        # A number for the row so far together with this column; below M², and made smaller by `unique`.
        row = index * len(values) + np.unique(column, return_inverse=True)[1]
        index = np.unique(row, return_inverse=True)[1]
    counts = [np.bincount(index[bits == bit], minlength=int(index.max()) + 1) for bit in (False, True)]
    return float(bit_information(2 * np.array(counts) / len(bits)))


def dithered(shares: np.ndarray, levels: int) -> np.ndarray:
    """Law of ℓ rounded at random to one of the levels k/(q-1) so that its mean stays ℓ; (...) → (..., q).

    A value that is a level already is not changed, so that a 0-1 loss is kept as it is.

    Args:
        shares: ℓ in [0, 1], shape (...).
        levels: q.
    """
    position = shares * (levels - 1)
    lower = np.minimum(np.floor(position), levels - 2).astype(np.int64)
    law = np.zeros((*shares.shape, levels))
    np.put_along_axis(law, lower[..., None], (1 - (position - lower))[..., None], axis=-1)
    np.put_along_axis(law, lower[..., None] + 1, (position - lower)[..., None], axis=-1)
    return law


def pair_laws(first: np.ndarray, second: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """P(ℓ_0, ℓ_1 | U = 0) and P(ℓ_0, ℓ_1 | U = 1) over equally likely runs, the two rounded independently.

    Args:
        first: laws of ℓ_0 in every run, shape (S, M, N, q).
        second: laws of ℓ_1 in every run, same shape.
        bits: U, shape (M, N), each index balanced over the runs.

    Returns: shape (S, N, 2, q, q).
    """
    left, right = np.moveaxis(first, 1, -1), np.moveaxis(second, 1, 2)
    half = len(bits) / 2
    laws = [(left * (bits == bit).T[:, None, :]) @ right / half for bit in (False, True)]
    return np.stack(laws, axis=2)


def difference_laws(pairs: np.ndarray) -> np.ndarray:
    """Law of ℓ_1 - ℓ_0 from that of the pair: sums along the diagonals, (..., q, q) → (..., 2q - 1)."""
    levels = pairs.shape[-1]
    diagonals = range(1 - levels, levels)
    return np.stack([np.trace(pairs, offset=k, axis1=-2, axis2=-1) for k in diagonals], axis=-1)


def information_and_influence(laws: np.ndarray) -> tuple[float, np.ndarray]:
    """I(A; U) of the mean law over independent samples (S, 2, symbols), and each sample's share of it, shape (S,).

    The shares ½ Σ_u Σ_a p^s_u(a) log(p_u(a) / m(a)) have mean I, and their spread is the delta-method standard error.
    """
    mean = laws.mean(axis=0)
    middle = mean.mean(axis=0)
    ratio = np.log(np.where(mean > 0, mean, 1.0) / np.where(middle > 0, middle, 1.0))
    # A symbol that has probability 0 in the mean has it in every sample: its logarithm is never used.
    return float(bit_information(mean)), 0.5 * (laws * ratio).sum(axis=(-2, -1))


def decisions(values: np.ndarray) -> np.ndarray:
    """The class that labels (..., d_y) denote: that of the largest entry, or the sign of a single one (0 is +)."""
    return values.argmax(axis=-1) if values.shape[-1] > 1 else (values[..., 0] >= 0).astype(np.int64)


def shares(prediction: np.ndarray, labels: np.ndarray, loss: str, clip: float) -> np.ndarray:
    """The loss divided by its range c, in [0, 1]: 1[class of ŷ ≠ class of y], or min(|ŷ - y|², c) / c; (..., d_y)."""
    if loss == "zero_one":
        return (decisions(prediction) != decisions(labels)).astype(np.float64)
    return np.minimum(((prediction - labels) ** 2).sum(axis=-1), clip) / clip


def _atoms(values: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """I(A_i; U_i) of values (S, M, N, ...) by equality of floating-point numbers, shape (S, N)."""
    return np.array([[atom_information(run[:, i], bits[:, i]) for i in range(run.shape[1])] for run in values])


def _joint_information(pairs: np.ndarray) -> np.ndarray:
    """I(A_i; U_i) where A_i is a pair of symbols, from its laws (S, N, 2, q, q); shape (S, N)."""
    return bit_information(pairs.reshape(*pairs.shape[:3], -1))


def selection_statistics(
    prediction: np.ndarray, labels: np.ndarray, bits: np.ndarray, options: tuple
) -> dict[str, np.ndarray]:
    """Gap and loss of every pair over c, and the nats of every A_i, from runs on supersamples; each (S, N).

    Args:
        prediction: ŷ after every selection, shape (S, M, N, 2, d_y).
        labels: shape (S, N, 2, d_y).
        bits: the selections, shape (M, N), each index balanced.
        options: loss, clip c and levels (None: not rounded).

    Returns: "gap", "training", "f_cmi", "evaluated_cmi", "loss_difference_cmi", and unless `levels` is None "laws" of
        Δ given either bit, mean over the pairs, shape (S, 2, 2 levels - 1).
    """
    loss, clip, levels = options
    share = shares(prediction, labels[:, None], loss, clip)
    delta = share[..., 1] - share[..., 0]
    seen = np.where(bits, share[..., 1], share[..., 0]).mean(axis=1)
    result = {"gap": np.where(bits, -delta, delta).mean(axis=1), "training": seen}
    if loss == "zero_one":
        certain = np.eye(max(2, prediction.shape[-1]))[decisions(prediction)]
        result["f_cmi"] = _joint_information(pair_laws(certain[..., 0, :], certain[..., 1, :], bits))
    else:
        result["f_cmi"] = _atoms(prediction, bits)
    if levels is None:
        result["evaluated_cmi"] = _atoms(share, bits)
        result["loss_difference_cmi"] = _atoms(delta, bits)
        return result
    law = dithered(share, levels)
    pairs = pair_laws(law[..., 0, :], law[..., 1, :], bits)
    differences = difference_laws(pairs)
    result["evaluated_cmi"] = _joint_information(pairs)
    result["loss_difference_cmi"] = bit_information(differences)
    return result | {"laws": differences.mean(axis=1)}
