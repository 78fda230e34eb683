"""Models as files: matrices in an npz, and with them what they are matrices of; and files of other people read."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.ranks import Precision, coarsest, precision_of
from icl_theory.models.convention_check import checked_conversion
from icl_theory.models.foreign import Conversion
from icl_theory.models.layouts import Layout
from icl_theory.models.model import MATRICES, Model
from icl_theory.models.stored_arrays import stored_arrays, weights_file
from icl_theory.records.files import write_bytes

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


def load_model(path: str | Path, layout: Layout | None = None) -> Model:
    """The model or ensemble in a file: one that `save_model` or a training run wrote, or weights of other people.

    Args:
        path: an npz or safetensors file, or the directory of `icl-theory train`.
        layout: how the arrays of somebody else's file are to be read, see `Layout`; None reads usual names in the
            conventions of this package. A file of `save_model` says itself what it holds. If the file has the arrays
            check_tokens (n, N + 1, D), the query last, and check_predictions (n,), the model read must predict them.

    Returns: the model, in the dtype it was written in if it is ours, else in float64, with its precision remembered.
    Raises: ValueError for a file that is missing, damaged or a pickle, arrays that do not fit together, a bias that is
        not zero, or a layout for a file that says itself what it holds.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from icl_theory import Layout, load_model, random_weights, save_model
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(load_model(save_model(f"{folder}/model.npz", random_weights(0, layers=2, token_dim=3))))
        ...     np.savez(f"{folder}/other.npz", W_V=np.eye(3), kq=np.ones((3, 3)))
        ...     load_model(f"{folder}/other.npz", Layout(readout="plus"))
        Model(layers=2, token_dim=3)
        Model(layers=1, token_dim=3, readout='plus')
    """
    return read_model(path, layout).model


def read_model(path: str | Path, layout: Layout | None = None) -> Conversion:
    """As `load_model`, with notes on what was read and how. Args: as there. Raises: ValueError."""
    path = weights_file(path)
    arrays = stored_arrays(path)
    if _ENTRY not in arrays:
        return checked_conversion(arrays, layout or Layout())
    if layout is not None and layout != Layout():
        got, hint = f"a layout for {str(path)!r}", "leave the layout out"
        raise checks.error("model", got, "none, since the file says itself what it holds", hint)
    matrices = {name: arrays[name] for name in MATRICES if name in arrays}
    try:
        model = rebuilt(json.loads(str(arrays[_ENTRY])), matrices)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        got = f"{str(path)!r}, which is damaged ({type(error).__name__})"
        raise checks.error("model", got, "a file of save_model", "write it again") from error
    return Conversion(model, (f"{model!r}, written by save_model",))


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
