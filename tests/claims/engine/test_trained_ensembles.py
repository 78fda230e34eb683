"""Training in threads: the same models as in line, reported by one thread, stopped when nobody waits."""

import threading
import time
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from icl_theory import LinearRegression, TrainConfig, train
from icl_theory.claims.engine import trained_ensembles
from icl_theory.claims.engine.trained_ensembles import NotReady, Recipe, TrainedEnsembles
from icl_theory.training.ensemble_cache import EnsembleCache

TASK, SEED = LinearRegression(2, noise_std=0.5), 3


def recipe(layers: int, hidden: int = 0, readout: Any = "minus", steps: int = 20) -> Recipe:
    config = TrainConfig(layers=layers, shots=8, seeds=2, steps=steps * layers, hidden=hidden, readout=readout)
    return Recipe(TASK, config)


def few(progress: Any = None, cache: EnsembleCache | None = None) -> TrainedEnsembles:
    return TrainedEnsembles(SEED, progress=progress, cache=cache)


def test_same_as_a_call():
    """Threads train what a call trains."""
    found, kinds = few(), (recipe(2), recipe(2, 4), recipe(1), recipe(1, readout="plus"))
    found.begin(*kinds)
    assert found.begun == kinds
    for kind in kinds:
        result = found.get(kind)
        options = {"hidden": kind.config.hidden, "readout": kind.config.readout}
        layers = kind.config.layers
        plain = train(TASK, SEED, layers=layers, shots=8, steps=20 * layers, seeds=2, **options)
        for one, other in ((result.models.value, plain.models.value), (result.losses, plain.losses)):
            np.testing.assert_array_equal(one, other)
        assert (result.models.mlp_in is None) == (kind.config.hidden == 0)
    assert [str(kind) for kind in kinds] == ["2 layers", "2 layers with an MLP", "1 layer", "1 layer read with a plus"]


def test_kept_between_runs(tmp_path, monkeypatch):
    """A second run trains nothing, and says what it took from the first."""
    cache, kind = EnsembleCache(tmp_path), recipe(1)
    first = few(cache=cache)
    made = first.get(kind)
    assert first.kept == []
    monkeypatch.setattr(trained_ensembles, "train", lambda *_, **__: pytest.fail("it was trained again"))
    second = few(cache=cache)
    found = second.get(kind)
    assert second.kept == [kind]
    np.testing.assert_array_equal(found.models.value, made.models.value)
    np.testing.assert_array_equal(found.losses, made.losses)
    assert (found.config, found.diverged.tolist()) == (made.config, made.diverged.tolist())


def test_trained_once(monkeypatch):
    """Every ensemble is trained once."""
    calls = []
    monkeypatch.setattr(
        trained_ensembles, "train", lambda *args, **options: calls.append(options["layers"]) or object()
    )
    found = few()
    assert found.get(recipe(1)) is found.get(recipe(1))
    found.begin(recipe(1), recipe(2))
    found.get(recipe(2))
    assert sorted(calls) == [1, 2]


def test_progress_thread(monkeypatch):
    """Progress is reported by the thread that waits."""
    reported, go_on = [], threading.Event()

    def slow(*_, progress, layers, **__):
        progress("training, loss 1.250", 10, 40)
        assert go_on.wait(20)
        return layers

    def progress(*said):
        reported.append((threading.current_thread(), *said))
        go_on.set()

    monkeypatch.setattr(trained_ensembles, "train", slow)
    assert few(progress).get(recipe(1)) == 1
    assert {said[0] for said in reported} == {threading.main_thread()}
    assert reported[-1][1:] == ("training 1 layer, loss 1.250", 10, 40)


def test_impatient_caller(monkeypatch):
    """Who is not patient is advised to come again."""
    go_on = threading.Event()
    monkeypatch.setattr(trained_ensembles, "train", lambda *_, layers, **__: go_on.wait(20) and layers)
    found = few()
    found.wait = False
    for _ in range(2):
        with pytest.raises(NotReady, match="1 layer"):
            found.get(recipe(1))
    assert found.begun == (recipe(1),)
    go_on.set()
    found.wait = True
    assert found.get(recipe(1)) == 1
    found.wait = False
    assert found.get(recipe(1)) == 1


def test_errors_reach_the_waiting(monkeypatch):
    """What goes wrong is reported to the one who waits."""

    def broken(*_, **__):
        raise ValueError("shots: got 0, expected more; show some.")

    monkeypatch.setattr(trained_ensembles, "train", broken)
    with pytest.raises(ValueError, match="shots: got 0"):
        few().get(recipe(1))


def test_closing(monkeypatch):
    """Closing breaks off what nobody waits for."""
    begun, ended = [], []

    def endless(*_, progress, layers, **__):
        begun.append(layers)
        try:
            while True:
                progress("training", 1, 2)
                time.sleep(0.01)
        finally:
            ended.append(layers)

    monkeypatch.setattr(trained_ensembles, "train", endless)
    with closing(few()) as found:  # whatever fails: an endless thread would keep the whole of pytest from ending
        found.begin(recipe(1), recipe(2))
        wait_until(lambda: begun)  # one is at work at a time, the other waits
    wait_until(lambda: ended)
    assert begun == ended == [1]


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
