"""Information of a fair bit from laws and from values; rounding at random; selections; losses over their range."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from helpers import table_information
from scipy.stats import entropy

from icl_theory.information.supersample.selection_information import (
    atom_information,
    bit_information,
    difference_laws,
    dithered,
    pair_laws,
    selections,
    shares,
)

LN2 = math.log(2)


def test_entropies():
    """Bit information against entropies."""
    laws = np.random.default_rng(0).dirichlet(np.ones(5), (40, 2))
    expected = [entropy(p.mean(axis=0)) - (entropy(p[0]) + entropy(p[1])) / 2 for p in laws]
    np.testing.assert_allclose(bit_information(laws), expected, atol=1e-14)


def test_small_information():
    """Bit information at its ends and near zero."""
    assert bit_information(np.eye(2)) == pytest.approx(LN2, rel=1e-15)
    assert bit_information(np.array([[0.25, 0.75, 0.0]] * 2)) == 0.0
    for t in (1e-9, 1e-5):  # ½ t² + t⁴/12, where a difference of entropies has no digits left
        laws = np.array([[1 + t, 1 - t], [1 - t, 1 + t]]) / 2
        assert bit_information(laws) == pytest.approx(t**2 / 2, rel=1e-7, abs=0.0)


def test_random_rounding():
    """Rounding at random keeps the mean."""
    share = np.random.default_rng(1).random((7, 3))
    for levels in (2, 5, 64):
        law = dithered(share, levels)
        np.testing.assert_allclose(law.sum(-1), 1.0, rtol=1e-14)
        np.testing.assert_allclose(law @ np.linspace(0, 1, levels), share, rtol=1e-13)
        assert ((law > 0).sum(-1) <= 2).all()
    assert dithered(np.array([0.0, 0.5, 1.0]), 3).tolist() == np.eye(3).tolist()


def test_pair_laws():
    """Laws of pairs and differences."""
    rng = np.random.default_rng(2)
    first, second = rng.dirichlet(np.ones(3), (2, 1, 4, 2))
    bits = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=bool)
    pairs = pair_laws(first, second, bits)
    by_hand = (np.outer(first[0, 2, 1], second[0, 2, 1]) + np.outer(first[0, 0, 1], second[0, 0, 1])) / 2
    np.testing.assert_allclose(pairs[0, 1, 0], by_hand, rtol=1e-14)
    difference = difference_laws(pairs)[0, 1, 0]
    by_hand = [sum(by_hand[i, j] for i in range(3) for j in range(3) if j - i == k) for k in range(-2, 3)]
    np.testing.assert_allclose(difference, by_hand, rtol=1e-14)


def test_selections():
    """Selections are balanced and all there."""
    every = selections(4, None, np.random.default_rng(0))
    assert sorted(map(tuple, every)) == list(itertools.product((False, True), repeat=4))
    drawn = selections(7, 30, np.random.default_rng(0))
    assert drawn.shape == (30, 7)
    assert drawn.sum(axis=0).tolist() == [15] * 7
    assert len(set(map(tuple, drawn))) > 20


def test_losses():
    """Losses in units of their range."""
    hats, labels = np.array([[0.0], [0.0], [-1.0], [2.0]]), np.array([[1.0], [-1.0], [-0.1], [0.0]])
    assert shares(hats, labels, "zero_one", 1.0).tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(shares(hats, labels, "clipped_squared", 2.0), [0.5, 0.5, 0.405, 1.0])


def test_vector_losses():
    """The largest entry is the class, whatever its sign, and the first of equal ones; squares are summed, then cut."""
    hats, labels = np.array([[-3.0, -2.0, -2.5], [0.5, 0.5, 0.0], [1.0, 0.0, 2.0]]), np.eye(3)
    assert shares(hats, labels, "zero_one", 1.0).tolist() == [1, 1, 0]
    np.testing.assert_allclose(shares(hats, labels, "clipped_squared", 4.0), [1.0, 0.125, 0.5])


def test_atoms_are_whole_rows():
    """Neither column reveals the bit, the pair of them does; rows equal in one column only are different symbols."""
    bits = np.array([False, True, True, False])
    values = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    assert atom_information(values[:, 0], bits) == atom_information(values[:, 1], bits) == 0.0
    assert atom_information(values, bits) == pytest.approx(LN2, rel=1e-15)
    assert atom_information(-0.0 * values, bits) == 0.0
    rng = np.random.default_rng(0)
    rows, bits = rng.integers(0, 3, (60, 2, 2)).astype(float), np.arange(60) % 2 == 0
    table: dict = defaultdict(float)
    for row, bit in zip(rows, bits, strict=True):
        table[tuple(row.ravel()), bool(bit)] += 1 / 60
    assert atom_information(rows, bits) == pytest.approx(table_information(table), rel=1e-12)
