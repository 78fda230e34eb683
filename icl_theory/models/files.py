"""Models as files: matrices in an npz, and with them what they are matrices of."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.ranks import Precision, coarsest, precision_of
from icl_theory.models.model import MATRICES, Model
from icl_theory.records.files import DAMAGED, read_npz, write_bytes

FORMAT = 1
_ENTRY = "model"
"""Array of one string, strict JSON: the static fields of the model and whether its first axis is seeds."""


def save_model(path: str | Path, model: Model, **arrays: Any) -> Path:
    """Write a model, or an ensemble with a leading axis of seeds, to an npz file, attention kind and readout included.

    Args:
        path: the file; written atomically, missing directories are made.
        model: matrices of any real dtype, which is kept.
        arrays: further arrays to keep in the same file, by name; `load_model` leaves them alone.

    Returns: the path.
    Raises: OSError.

    Example:
        >>> import tempfile
        >>> from icl_theory import gradient_descent_weights, load_model, save_model
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_model(f"{folder}/model.npz", gradient_descent_weights(2).replace(readout="plus"))
        ...     load_model(path)
        Model(layers=1, token_dim=3, readout='plus')
    """
    buffer = io.BytesIO()
    np.savez(buffer, **_matrices(model), **{_ENTRY: np.array(json.dumps(description(model)))}, **arrays)
    return write_bytes(path, buffer.getvalue())


def load_model(path: str | Path) -> Model:
    """The model or ensemble that `save_model` wrote, with the dtype it was written in.

    Args:
        path: an npz file.
    Raises: ValueError for a file that is missing, damaged or not written by `save_model`: whether four axes are seeds
        or heads is read from the file, never guessed from shapes.

    Example:
        >>> import tempfile
        >>> from icl_theory import load_model, random_weights, save_model
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(load_model(save_model(f"{folder}/model.npz", random_weights(0, layers=2, token_dim=3))))
        Model(layers=2, token_dim=3)
    """
    path = Path(path)
    try:
        saved = read_npz(path)
        arrays = {name: saved[name] for name in (*MATRICES, _ENTRY) if name in saved}
    except FileNotFoundError:
        raise checks.error("model file", f"{str(path)!r}: no such file", "an npz file", "save a model first") from None
    except DAMAGED as error:
        raise _error(path, f"which is damaged ({type(error).__name__})") from error
    if _ENTRY not in arrays:
        raise _error(path, "which does not say what its matrices are of")
    try:
        return rebuilt(json.loads(str(arrays.pop(_ENTRY))), arrays)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise _error(path, f"which is damaged ({type(error).__name__})") from error


def _error(path: Path, what: str) -> ValueError:
    hint = "read other files with numpy.load and pass their matrices to Model.create"
    return checks.error("model file", f"{str(path)!r}, {what}", "an npz file of save_model", hint)


def _matrices(model: Model) -> dict[str, np.ndarray]:
    return {name: np.asarray(getattr(model, name)) for name in MATRICES if getattr(model, name) is not None}


def description(model: Model) -> dict[str, Any]:
    """What the matrices are of, as a record holds it: options, heads, number of seeds, precision, known ranks."""
    words = {"format": FORMAT, "seeds": model.seeds, "heads": model.heads, **model.options}
    own: list[Precision | None] = [precision_of(getattr(model, name)) for name in MATRICES]
    precision = coarsest(model.precision, *own)
    words |= {"precision": precision} if precision is not None else {}
    return words | ({"ranks": {name: list(values) for name, values in model.ranks}} if model.ranks else {})


def rebuilt(words: dict[str, Any], arrays: dict[str, Any]) -> Model:
    """The model of a description and its matrices, each member checked. Raises: ValueError, KeyError, TypeError."""
    words = dict(words)
    if words.pop("format") != FORMAT:
        raise checks.error("model", "a format of another version", f"format {FORMAT}", "save it again")
    seeds, heads = words.pop("seeds"), words.pop("heads")
    first = {name: np.asarray(matrix)[0] if seeds is not None else matrix for name, matrix in arrays.items()}
    member = Model.create(**first, heads=heads, **words)
    result = member.replace(**{name: np.asarray(matrix) for name, matrix in arrays.items()}, ranks=member.ranks)
    if result.seeds != seeds:
        raise checks.error("model", f"seeds={seeds} with matrices of {result.seeds}", "as many as there are", "save it")
    return result


def to_dict(model: Model) -> dict[str, Any]:
    """A model as plain lists and strings, for a record; `from_dict` reads it."""
    return description(model) | {name: matrix.tolist() for name, matrix in _matrices(model).items()}


def from_dict(document: dict[str, Any]) -> Model:
    """The model that `to_dict` wrote down, in float64. Raises: ValueError, KeyError, TypeError for a defect."""
    if not isinstance(document, dict):
        raise TypeError(f"a model that is a {type(document).__name__}")
    words = {name: word for name, word in document.items() if name not in MATRICES}
    arrays = {name: document[name] for name in MATRICES if name in document}
    if words.get("seeds") is not None:
        raise checks.error("model", "an ensemble", "a single model", "write its members one by one")
    return rebuilt(words, {name: checks.array(f"model.{name}", a, np.shape(a)) for name, a in arrays.items()})
