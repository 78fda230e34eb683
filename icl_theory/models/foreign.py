"""A model out of the arrays of somebody else's file, converted exactly where that is possible, else refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.ranks import Precision, coarsest, precision_of
from icl_theory.models.layouts import Layout, assigned, check_layout, is_bias
from icl_theory.models.model import Model

NEEDED = "value, and key and query or their product key_query"


@dataclass(frozen=True)
class Conversion:
    """A model and what was done to get it."""

    model: Model
    notes: tuple[str, ...]
    """What was read and how, a line each."""


def converted(arrays: Mapping[str, np.ndarray], layout: Layout) -> Conversion:
    """The model of these arrays under that layout.

    Raises: ValueError for arrays that are missing, that do not fit together, or that mean what no `Model` can be.
    """
    stated = check_layout(layout)
    where = assigned(arrays, stated)
    if "value" not in where or ("key_query" in where) + ("query_key" in where) + ({"key", "query"} <= {*where}) != 1:
        got = ", ".join(where) or f"none among {', '.join(sorted(arrays)[:12]) or 'no arrays'}"
        raise checks.error("arrays", got, NEEDED, "say which is which with names, role=name")
    if ("mlp_in" in where) != ("mlp_out" in where):
        raise checks.error("arrays", "only one matrix of the MLP", "both or none", "name both")
    used = [name for names in where.values() for name in names.values()]
    left = [name for name in arrays if name not in used]
    biases = [name for name in left if is_bias(name) and np.asarray(arrays[name]).any()]
    if biases:
        hint = "no function here knows a bias; train without them, or leave them out of the file on purpose"
        raise checks.error("arrays", f"a bias that is not zero ({biases[0]!r})", "matrices alone", hint)
    stacks = {role: _layers(role, names, arrays) for role, names in where.items()}
    layers = {len(stack) for stack in stacks.values()}
    if len(layers) > 1:
        got = ", ".join(f"{len(stack)} of {role}" for role, stack in stacks.items())
        raise checks.error("layers", got, "as many of each", "name them with {layer}, or stack them")
    given: list[Precision | None] = [precision_of(np.asarray(arrays[name])) for name in used]
    model = _model([{role: s[t] for role, s in stacks.items()} for t in range(layers.pop())], layout, coarsest(*given))
    return Conversion(model, _notes(model, where, left, arrays, layout))


def _layers(role: str, names: Mapping[int | None, str], arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The matrices of a role, layer by layer, in float64. Raises: ValueError."""
    if None in names:
        only = checks.array(repr(names[None]), arrays[names[None]], [None] * max(np.ndim(arrays[names[None]]), 2))
        if len(names) > 1 or only.ndim > 3:
            hint = "store (layers, rows, columns), heads side by side in the rows (packed_heads)"
            raise checks.error(f"shape of {role}", str(only.shape), "(layers, rows, columns)", hint)
        return [only] if only.ndim == 2 else list(only)
    numbers = sorted(number for number in names if number is not None)
    if numbers not in (list(range(len(numbers))), list(range(1, len(numbers) + 1))):
        raise checks.error(f"layers of {role}", str(numbers), "all of them, counted from 0 or 1", "complete the file")
    return [checks.array(repr(names[n]), arrays[names[n]], (None, None)) for n in numbers]


def _model(layers: list[dict[str, np.ndarray]], layout: Layout, precision: Any) -> Model:
    made = [_layer({role: m.T if layout.transposed else m for role, m in layer.items()}, layout) for layer in layers]
    heads = None if layout.packed_heads == 1 else layout.packed_heads
    stacks = {name: np.stack([matrices[name] for matrices in made]) for name in made[0]}
    if heads is None:
        stacks |= {name: stacks[name][:, 0] for name in ("value", "key", "query")}
    options: dict[str, Any] = {name: getattr(layout, name) for name in ("kind", "mask", "normalization")}
    options |= {"activation": layout.activation, "readout": layout.readout, "precision": precision}
    return Model.create(**stacks, heads=heads, **options)


def _layer(given: dict[str, np.ndarray], layout: Layout) -> dict[str, np.ndarray]:
    """One layer in the convention of `Model`, value, key and query with an axis of heads."""
    product = given.get("key_query", given["query_key"].T if "query_key" in given else None)
    dimension = (product if product is not None else given["key"]).shape[1]
    order = np.roll(np.arange(dimension), -layout.label_entries if layout.labels_first else 0)  # [y; x] to [x; y]
    value, output = given["value"], given.get("output")
    _require_columns("value", value, dimension)
    if output is None and value.shape[0] != dimension * layout.packed_heads:
        hint = "name the output matrix that takes it back to the token"
        raise checks.error("value", f"shape {value.shape}", f"{dimension} rows, or an output matrix", hint)
    made = {"value": np.stack(_values(value, output, dimension, layout.packed_heads))[:, order][:, :, order]}
    if product is not None:
        if product.shape != (dimension, dimension) or layout.packed_heads > 1:
            got = f"shape {product.shape} with {layout.packed_heads} heads"
            raise checks.error("key_query", got, "a square matrix and one head", "give key and query apart")
        pairs = [(np.eye(dimension), product[order][:, order])]
    else:
        _require_columns("query", given["query"], dimension)
        if given["query"].shape != given["key"].shape:
            got = f"shapes {given['key'].shape} and {given['query'].shape}"
            raise checks.error("key, query", got, "equal shapes", "grouped queries are not covered")
        parts = (_blocks(name, given[name][:, order], layout.packed_heads) for name in ("key", "query"))
        pairs = [_square(key, query) for key, query in zip(*parts, strict=True)]
    made["key"] = np.stack([key for key, _ in pairs])
    made["query"] = layout.scale * np.stack([query for _, query in pairs])
    if "mlp_in" in given:
        _require_columns("mlp_in", given["mlp_in"], dimension)
        made |= {"mlp_in": given["mlp_in"][:, order], "mlp_out": given["mlp_out"][order]}
    return made


def _values(value: np.ndarray, output: np.ndarray | None, dimension: int, heads: int) -> list[np.ndarray]:
    """W_O W_V of every head, (D, D)."""
    blocks = _blocks("value", value, heads)
    if output is None:
        return blocks
    if output.shape != (dimension, value.shape[0]):
        got, expected = f"shape {output.shape}", f"({dimension}, {value.shape[0]})"
        raise checks.error("output", got, expected, "is it transposed?")
    return [o @ v for o, v in zip(np.split(output, heads, axis=1), blocks, strict=True)]


def _blocks(name: str, matrix: np.ndarray, heads: int) -> list[np.ndarray]:
    if matrix.shape[0] % heads:
        hint = "every head has as many rows"
        raise checks.error(name, f"{matrix.shape[0]} rows for {heads} heads", f"a multiple of {heads}", hint)
    return np.split(matrix, heads)


def _square(key: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """K and Q of D rows with the same KᵀQ: filled up with zero rows, or with the surplus rotated away."""
    rows, dimension = key.shape
    if rows < dimension:
        zeros = np.zeros((dimension - rows, dimension))
        return np.concatenate([key, zeros]), np.concatenate([query, zeros])
    if rows > dimension:
        rotation, triangle = np.linalg.qr(key)
        return triangle, rotation.T @ query
    return key, query


def _require_columns(name: str, matrix: np.ndarray, dimension: int) -> None:
    if matrix.shape[1] != dimension:
        hint = "every matrix takes the token: is it transposed?"
        raise checks.error(name, f"shape {matrix.shape}", f"{dimension} columns", hint)


def _notes(
    model: Model, where: Mapping[str, Mapping], left: list[str], arrays: Mapping[str, np.ndarray], layout: Layout
) -> tuple[str, ...]:
    lines = []
    for role, names in where.items():
        shapes = {tuple(np.shape(arrays[name])) for name in names.values()}
        shown = ", ".join(map(str, sorted(shapes)))
        first, last = next(iter(names.values())), list(names.values())[-1]
        lines.append(f"{role}: {first}{f' ... {last}' if len(names) > 1 else ''}, {shown}")
    said = ["x @ W, transposed" if layout.transposed else "W h", "[y; x]" if layout.labels_first else "[x; y]"]
    lines.append(f"{model!r}, read as {', '.join(said)}, precision {model.precision or 'float64'}")
    if "key_query" in where or "query_key" in where:
        lines.append("only the product of key and query is given: truncate key_query, not key or query")
    if left:
        lines.append(f"not read: {', '.join(left[:8])}{' ...' if len(left) > 8 else ''}")
    return tuple(lines)
