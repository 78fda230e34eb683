"""Pictures of descent: what is drawn is what was given, on the plane and on the contours it belongs to."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from helpers import error_message
from PIL import Image

from icl_theory.figures import descent_animation, descent_contour, loss_band
from icl_theory.figures.descent import _plane

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((6, 2)), RNG.standard_normal(6)
ROADS = {"model": RNG.standard_normal((4, 2)), "gradient descent": RNG.standard_normal((4, 2))}


def drawn(figure, label: str) -> np.ndarray:
    [line] = [line for line in figure.axes[0].lines if line.get_label() == label]
    return np.array(line.get_data()).T


def test_points() -> None:
    """The roads as they are, and the least-squares weight."""
    figure = descent_contour(ROADS, X, Y)
    for name, road in ROADS.items():
        np.testing.assert_array_equal(drawn(figure, name), road)
    normal = np.linalg.solve(X.T @ X, X.T @ Y)
    np.testing.assert_allclose(drawn(figure, "least squares")[0], normal, rtol=1e-9)
    assert figure.axes[0].get_xlabel() == "$w_1$"


def test_contours() -> None:
    """Every contour runs where the loss has its level, in three dimensions on the plane through least squares."""
    x, y = RNG.standard_normal((8, 3)), RNG.standard_normal(8)
    roads = {"model": RNG.standard_normal((4, 3))}
    for inputs, labels, own in ((X, Y, ROADS), (x, y, roads)):
        figure = descent_contour(own, inputs, labels)
        best = np.linalg.lstsq(inputs, labels, rcond=None)[0]
        plane = _plane(own, best)
        np.testing.assert_allclose(plane @ plane.T, np.eye(2), atol=1e-12)
        [contours] = figure.axes[0].collections
        checked = 0
        for level, path in zip(contours.levels, contours.get_paths(), strict=True):  # pyright: ignore
            for point in np.asarray(path.vertices)[::7]:
                weight = point if len(best) == 2 else best + (point - plane @ best) @ plane
                loss = ((inputs @ weight - labels) ** 2).mean() / 2
                assert loss == pytest.approx(level, rel=0.05)
                checked += 1
        assert checked > 30
        for name, road in own.items():
            np.testing.assert_allclose(drawn(figure, name), road @ plane.T, atol=1e-12)


def test_plane_of_the_roads() -> None:
    """In four dimensions the plane is the one in which the roads lie, if they lie in one."""
    basis = np.linalg.qr(RNG.standard_normal((4, 2)))[0].T
    best = RNG.standard_normal(4)
    road = best + RNG.standard_normal((5, 2)) @ basis
    plane = _plane({"model": road}, best)
    np.testing.assert_allclose(plane.T @ plane, basis.T @ basis, atol=1e-10)


def test_band() -> None:
    """Medians as lines, quantiles as the edges of the band."""
    losses = {"model": RNG.uniform(0.1, 1.0, (50, 4)), "GD++": RNG.uniform(0.1, 1.0, (50, 3))}
    figure = loss_band(losses, share=0.5)
    for number, (name, loss) in enumerate(losses.items()):
        np.testing.assert_allclose(drawn(figure, name)[:, 1], np.median(loss, axis=0))
        edges = np.asarray(figure.axes[0].collections[number].get_paths()[0].vertices)[:, 1]
        np.testing.assert_allclose(
            [edges.min(), edges.max()], [np.quantile(loss, 0.25, axis=0).min(), np.quantile(loss, 0.75, axis=0).max()]
        )
    assert figure.axes[0].get_yscale() == "log"
    assert loss_band({"model": np.zeros((3, 2))}).axes[0].get_yscale() == "linear"
    assert figure.axes[0].get_xticks().tolist() == [0, 1, 2, 3]


def test_animation(tmp_path: Path) -> None:
    """One picture for every layer, 0 included; they differ."""
    path = descent_animation(ROADS, X, Y, tmp_path / "road.gif", seconds=0.5)
    with Image.open(path) as image:
        assert image.n_frames == 4  # pyright: ignore
        frames = []
        for number in range(4):
            image.seek(number)
            frames.append(np.asarray(image.convert("L"), dtype=float))
            assert image.info["duration"] == 500
    assert all(np.abs(a - b).max() > 50 for a, b in itertools.pairwise(frames))
    assert [found.name for found in tmp_path.iterdir()] == ["road.gif"]


def test_errors(tmp_path: Path) -> None:
    """One dimension, no roads, other shapes, another ending, a share that is none."""
    assert "plot the loss" in error_message(descent_contour, {"model": np.zeros((2, 1))}, np.ones((3, 1)), np.ones(3))
    assert "none" in error_message(descent_contour, {}, X, Y)
    assert "weights of model" in error_message(descent_contour, {"model": np.zeros((2, 3))}, X, Y)
    assert ".gif" in error_message(descent_animation, ROADS, X, Y, tmp_path / "road.mp4")
    assert "below 1" in error_message(loss_band, {"model": np.ones((3, 2))}, share=1.0)
    assert "none" in error_message(loss_band, {})
