"""Every setting of a sweep reaches the ladder and the risk of every member: compared with calls one by one."""

from typing import Any

import jax
import numpy as np
import pytest

from icl_theory import LinearRegression, bound_ladder, population_risk, random_weights, rank_sweep, truncate_weights

TASK, W = LinearRegression(2, noise_std=0.5), np.array([0.7, -1.1])
SWEEP: dict[str, Any] = {"demonstrations": 14, "shots": 6, "clip": 4.0, "samples": 32, "key": 3, "task_vector": W}
MODELS = [random_weights(seed, layers=2, token_dim=3, scale=0.6) for seed in (5, 6)]
BOTH = jax.tree.map(lambda *a: np.stack(a), *MODELS)
OPTIONS = [{}, {"readout": "plus"}, {"floor": 0.05}, {"loss": "zero_one"}, {"pairs": 20}, {"clip": 0.7}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_entry(options):
    """Both members at rank 2 of layer 1, and the change against that member untouched."""
    settings = SWEEP | options
    readout = settings.pop("readout", "minus")
    records = rank_sweep(BOTH.replace(readout=readout), TASK, layer_indices=[1], modules=["key"], ranks=[2], **settings)
    assert [record["seed"] for record in records] == [0, 1]
    seed = np.random.default_rng(3)
    TASK.sample_tasks(seed, 1)
    risk_key = int(seed.integers(2**62)) % 2**31
    for record, plain in zip(records, MODELS, strict=True):
        member = plain.replace(readout=readout)
        cut = truncate_weights(member, layer=1, module="key", rank=2)
        after, before = (bound_ladder(model, TASK, **settings) for model in (cut, member))
        assert record["gap"]["value"] == pytest.approx(after.gap.value, rel=1e-12)
        assert record["population_loss"]["value"] == pytest.approx(after.population_loss.value, rel=1e-12)
        for name in ("gaussian", "path_information", "isotropic"):
            assert record["information"][name]["value"] == pytest.approx(after.information[name].value, rel=1e-12)
        change = np.mean(after.terms["gap"] - before.terms["gap"])
        assert record["change"]["gap"]["value"] == pytest.approx(change, rel=1e-9)
        risks = [population_risk(model, TASK, shots=6, samples=32, key=risk_key).value for model in (cut, member)]
        assert record["population_risk"]["value"] == pytest.approx(risks[0], rel=1e-9)
        assert record["change"]["population_risk"]["value"] == pytest.approx(risks[0] - risks[1], rel=1e-9)


@pytest.mark.parametrize("options", OPTIONS[1:], ids=str)
def test_settings_of_an_entry(options):
    """Or the test above could pass with a setting that nobody reads."""
    changed = {**SWEEP, **options}
    models = MODELS[0], MODELS[0].replace(readout=changed.pop("readout", "minus"))
    plain, other = (
        rank_sweep(model, TASK, layer_indices=[1], ranks=[2], **settings)[0]
        for model, settings in zip(models, (SWEEP, changed), strict=True)
    )
    assert plain != other


def test_finished_entries():
    """An entry of one member never stands for that of another."""
    settings: dict[str, Any] = {**SWEEP, "samples": 16}
    whole = rank_sweep(BOTH, TASK, layer_indices=[0, 1], modules=["value", "key"], ranks=[1, 2], **settings)
    assert len({(r["seed"], r["layer"], r["module"], r["rank"]) for r in whole}) == len(whole) == 16
    for kept in (0, 5, 11, 15):
        marked = {**whole[kept], "gap": "as it was"}
        again = rank_sweep(
            BOTH,
            TASK,
            layer_indices=[0, 1],
            modules=["value", "key"],
            ranks=[1, 2],
            finished=[marked, *whole[:kept]],
            **settings,
        )
        assert [i for i, record in enumerate(again) if record["gap"] == "as it was"] == [kept]
        assert again[:kept] + again[kept + 1 :] == whole[:kept] + whole[kept + 1 :]
