"""One configuration of a run for `train` and the command line: the same fields, defaults and texts."""

import inspect
import subprocess
import sys
from dataclasses import MISSING, fields

from icl_theory import LinearRegression, TrainConfig, train
from icl_theory.core.field_docs import field_docs
from icl_theory.models.options import ModelConfig
from icl_theory.runs.train_config import TrainRunConfig
from icl_theory.training.ensemble import checked_config

DEFAULTS = {field.name: field.default for field in fields(TrainConfig)}
UNUSUAL = {
    "layers": 2,
    "heads": 2,
    "tied": True,
    "kind": "softmax",
    "mask": "causal",
    "hidden": 3,
    "activation": "relu",
    "readout": "plus",
    "shots": 4,
    "steps": 5,
    "seeds": 3,
    "batch": 6,
    "learning_rate": 0.03,
    "init_scale": 0.3,
    "clip_norm": 2.0,
    "stop_excess": None,
    "sampling": "tokens",
    "tasks": 7,
    "prompts_per_task": 8,
}


def test_train_takes_every_field() -> None:
    """Each setting reaches the field of its name; all but one differ from the defaults and, the numbers, mutually."""
    assert set(UNUSUAL) == set(DEFAULTS)
    assert [name for name in UNUSUAL if UNUSUAL[name] == DEFAULTS[name]] == ["stop_excess"]
    config = train(LinearRegression(2), 0, **UNUSUAL).config
    assert {name: getattr(config, name) for name in UNUSUAL} == UNUSUAL


def test_stop_excess_is_passed() -> None:
    result = train(LinearRegression(2), 0, layers=1, shots=5, steps=4, seeds=1, batch=2, stop_excess=0.25)
    assert result.config.stop_excess == 0.25


def test_same_defaults() -> None:
    """Train has the defaults of the configuration."""
    given = inspect.signature(train).parameters
    required = {name for name in DEFAULTS if given[name].default is inspect.Parameter.empty}
    assert required == {"layers", "shots"}
    assert all(given[name].default == DEFAULTS[name] for name in DEFAULTS if name not in required)


def test_command_line_inherits() -> None:
    """No field of the configuration is written down again in the configuration of the command."""
    assert issubclass(TrainRunConfig, TrainConfig)
    assert issubclass(TrainConfig, ModelConfig)
    assert set(vars(TrainRunConfig)["__annotations__"]).isdisjoint(DEFAULTS)
    assert set(vars(TrainConfig)["__annotations__"]).isdisjoint(field.name for field in fields(ModelConfig))
    assert all(field.default is not MISSING for field in fields(TrainRunConfig))


def test_field_docs_in_help() -> None:
    """Once each; what `train` says itself, it says instead."""
    text, texts = inspect.getdoc(train) or "", field_docs(TrainConfig)
    assert set(texts) == set(DEFAULTS)
    for name, words in texts.items():
        assert text.count(f"\n    {name}: ") == 1
        assert (f"\n    {name}: {words}" in text) == (name != "stop_excess")
    assert "\n    hidden: Width of the MLP" in (inspect.getdoc(TrainConfig) or "")


def test_checked_config() -> None:
    """The configuration of the command can be checked as it is, and loses what is not a setting of the training."""
    found = checked_config(TrainRunConfig(layers=5, dim=3))
    assert (found.layers, found.steps, found.learning_rate) == (5, 2000, 0.01)
    assert not hasattr(found, "dim")


def test_import_is_quick() -> None:
    heavy = ("jax", "numpy", "scipy")
    code = f"import sys, icl_theory.runs.train_config; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
