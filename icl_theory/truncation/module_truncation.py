"""Truncation of one module of one layer of a model, to every rank, plainly or in the metric of its tokens."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from icl_theory.core import checks
from icl_theory.models.checked import checked, checked_linear
from icl_theory.models.model import Model
from icl_theory.models.options import Components, Module
from icl_theory.models.rank_notes import changed, rank_after, rank_notes, rank_of_smallest
from icl_theory.truncation.svd import Truncations, metric_factor

MODULES = get_args(Module)
Layers = int | tuple[int, ...]
"""One layer, or several that are truncated at once."""
Target = Literal["output", "update"]
"""What a metric weighs: the error of each matrix's own output, or that of the layer's update of a query."""
_MATRICES = {
    "value": ("value",),
    "key": ("key",),
    "query": ("query",),
    "key_query": ("key_query",),
    "attention": ("value", "key", "query"),
    "mlp": ("mlp_in", "mlp_out"),
    "all": ("value", "key", "query", "mlp_in", "mlp_out"),
}


def rank_of_rate(rate: float, rows: int, columns: int) -> int:
    """Rank r kept at clipping rate ξ = 1 - r / min(m, n), rounded down; a rate that means rank 0 is an error.

    Raises: ValueError for a rate outside [0, 1) or one that would keep nothing (`truncate` takes rank 0).
    """
    rate = checks.number("rate", rate, low=0.0, hint="a clipping rate lies in [0, 1)")
    side = min(rows, columns)
    rank = int(np.floor(side * (1 - rate) + 1e-9))
    if rank < 1:
        raise checks.error(
            "rate",
            f"{rate:g} for a {rows} x {columns} matrix",
            f"at most {1 - 1 / side:g}",
            "rank 0 instead removes the module",
        )
    return rank


def module_rank(model: Model, module: Module) -> int:
    """The largest rank that `module` can be truncated to: the smallest side of its matrices."""
    return min(min(getattr(model, edited(name)).shape[-2:]) for name in present(model, module))


def present(model: Model, module: Module) -> tuple[str, ...]:
    """The matrices of the module that the model has; the product W_KᵀW_Q counts as one."""
    checks.choice("module", module, MODULES)
    names = tuple(name for name in _MATRICES[module] if getattr(model, edited(name)) is not None)
    if not names:
        raise checks.error("module", f"{module!r} of weights without an MLP", "a module they have", "use 'attention'")
    return names


def edited(name: str) -> str:
    """The matrix that is replaced: of the product W_KᵀW_Q that is W_Q."""
    return "query" if name == "key_query" else name


class ModuleTruncations(Sequence[Model]):
    """The models with one module at every rank r = 0, ..., full, in one layer or in several at once.

    One decomposition of each matrix serves all ranks.
    """

    def __init__(
        self,
        model: Model,
        *,
        layer: int | Sequence[int],
        module: Module,
        inputs: Any = None,
        queries: Any = None,
        target: Target = "output",
        components: Components = "largest",
    ) -> None:
        """See `truncate_weights`."""
        model = checked(model)
        self._model, self._full, self._smallest = model, module_rank(model, module), components == "smallest"
        target = checks.choice("target", target, get_args(Target))
        names, self._cuts = present(model, module), {}
        chosen = chosen_layers(layer, model)
        if len(chosen) > 1 and inputs is not None:
            hint = "truncate one layer, take the second moments of the tokens that now enter the next, go on"
            raise checks.error("layer", "several with a metric of tokens", "one layer", hint)
        for index in chosen:
            metric = _Metric(model, index, (inputs, queries), target, components)
            self._cuts |= {(name, index): metric.truncations(name) for name in names}

    def __len__(self) -> int:
        return self._full + 1

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[rank] for rank in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"rank {index} of a module with ranks 0 to {self._full}")
        return self._at(index % len(self))

    def notes(self, rank: int) -> tuple[str, ...]:
        """Where the truncation to that rank is not the only best one, see `Truncation.note`.

        Args:
            rank: r.
        """
        found = (cut[rank].note for cuts in self._cuts.values() for cut in cuts)
        return tuple(dict.fromkeys(note for note in found if note))

    def _at(self, rank: int) -> Model:
        changes, ranks = {}, self._model.ranks
        for (name, layer), cuts in self._cuts.items():
            place = edited(name)
            matrices = changes[place] if place in changes else getattr(self._model, place).copy()
            heads = matrices[layer].reshape(-1, *matrices.shape[-2:])
            notes, first = rank_notes(ranks, place, len(matrices) * len(heads)), layer * len(heads)
            for index, (head, cut) in enumerate(zip(heads, cuts, strict=True), first):
                # W_KᵀW_Q Z = W_Kᵀ (W_Q Z): the product is truncated by its right factor, whatever the left one is.
                if not self._smallest:
                    notes[index] = rank_after(head, notes[index], rank, self._model.precision)
                elif name == "key_query":  # which directions W_Q keeps depends on W_K
                    notes[index] = None
                else:
                    notes[index] = rank_of_smallest(head, notes[index], rank, self._model.precision)
                head[:] = head @ cut.right_map(rank) if name == "key_query" else cut[rank].matrix
            ranks, changes[place] = changed(ranks, place, notes), matrices
        return self._model.replace(**changes, ranks=ranks)


class _Metric:
    """The decompositions of the matrices of one layer, head by head, in the metric that was asked for."""

    def __init__(
        self, model: Model, layer: int, moments: tuple[Any, Any], target: Target, components: Components
    ) -> None:
        inputs, queries = moments
        self._components: Components = components
        self._matrices = {name: getattr(model, name)[layer] for name in model.shapes}
        self._target = target
        if inputs is None:
            if target == "update" or queries is not None:
                got = "target='update'" if target == "update" else "queries"
                hint = "pass inputs, the second moment of the tokens that enter the layer"
                raise checks.error("inputs", f"none, and {got}", "a second moment", hint)
            self._tokens = self._queries = None
            return
        size = model.token_dim
        stack = np.asarray(inputs)[None] if np.ndim(inputs) == 2 else inputs
        stack = checks.array("inputs", stack, (None, size, size), "one second moment, or one for every prompt")
        self._moments = np.stack([checks.covariance("inputs", moment, size) for moment in stack])
        mean = self._moments.mean(axis=0)
        self._tokens = metric_factor("inputs", mean, size)
        self._queries = metric_factor("queries", mean if queries is None else queries, size)
        linear = target == "update" and model.mlp_in is not None
        self._mlp = self._matrices["mlp_out"] @ self._matrices["mlp_in"] if linear else None
        if target == "update":
            checked_linear(model, None, "target='update'", sums=True)

    def truncations(self, name: str) -> list[Truncations]:
        """One for each head."""
        if name.startswith("mlp"):
            if self._tokens is not None:
                hint = "truncate(mlp_in, r, inputs=E u uᵀ), u the update of the attention"
                raise checks.error("inputs", "a metric of tokens for an MLP", "no metric", hint)
            return [Truncations(self._matrices[name], components=self._components)]
        heads = {other: _by_head(self._matrices[other]) for other in ("value", "key", "query")}
        return [self._head(name, *parts) for parts in zip(*heads.values(), strict=True)]

    def _head(self, name: str, value: np.ndarray, key: np.ndarray, query: np.ndarray) -> Truncations:
        matrix = {"value": value, "key": key, "query": query, "key_query": key.T @ query}[name]
        if self._tokens is None or self._queries is None:
            return Truncations(matrix, components=self._components)
        if self._components == "smallest":
            got, expected = "'smallest' with a metric", "'smallest' without one"
            raise checks.error("components", got, expected, "drop inputs and queries")
        if self._target == "output":
            left = self._tokens.T if name == "key_query" else None  # of the score h_iᵀ W_KᵀW_Q h_q
            right = self._queries if name in ("query", "key_query") else self._tokens
            return Truncations.between(matrix, left, right)
        # ΔW = M W_V S W_Kᵀ W_Q, M the linear MLP. Over several S the squares add up: the factors are stacked.
        moments, queries = self._moments, self._queries
        read = (value if self._mlp is None else self._mlp @ value) @ moments
        factors = {
            "value": (self._mlp, _stacked(np.swapaxes(moments @ key.T @ query @ queries, 1, 2)).T),
            "key": (queries.T @ query.T, _stacked(read).T),
            "query": (_stacked(read @ key.T), queries),
            "key_query": (_stacked(read), queries),
        }
        return Truncations.between(matrix, *factors[name])


def _stacked(parts: np.ndarray) -> np.ndarray:
    """F with Fᵀ F = the mean of the Gram matrices of the parts (K, m, n), without forming one."""
    return np.linalg.qr(parts.reshape(-1, parts.shape[-1]), mode="r") / np.sqrt(len(parts))


def _by_head(matrices: np.ndarray) -> np.ndarray:
    return matrices.reshape(-1, *matrices.shape[-2:])


def chosen_layers(layer: int | Sequence[int], model: Model, name: str = "layer") -> tuple[int, ...]:
    """The layers named, each once. Raises: ValueError for none, or one that the model does not have."""
    several = [layer] if isinstance(layer, int | np.integer) else layer
    if not isinstance(several, Sequence | np.ndarray) or isinstance(several, str) or len(several) == 0:
        raise checks.error(name, repr(layer), "a whole number, or a list of them", "layers are counted from 0")
    hint = "layers are counted from 0"
    return tuple(dict.fromkeys(checks.integer(name, index, 0, model.layers - 1, hint) for index in several))


def truncate_weights(
    model: Model,
    *,
    layer: int | Sequence[int],
    module: Module,
    rank: int,
    inputs: Any = None,
    queries: Any = None,
    target: Target = "output",
    components: Components = "largest",
) -> Model:
    """The weights with one module of a layer replaced by its best rank-r approximation (exact SVD), head by head.

    Args:
        model: a single model.
        layer: counted from 0; a list of them truncates all of them at once, to the same rank.
        module: "value", "key", "query", "key_query" (the product W_KᵀW_Q, the only one of the two that the model is a
            function of; W_Q is replaced), "attention" (value, key and query, each by itself), "mlp" or "all".
        rank: r, from 0 to the smallest side of the module's matrices.
        inputs: C = E h hᵀ of the demonstrations as they enter the layer, shape (D, D), or the S of several prompts,
            shape (K, D, D); no metric if None.
        queries: the same of the query tokens; as `inputs` if None.
        target: what the metric weighs. "output": E |W h - W_r h|² of each matrix, and the score h_iᵀ W_KᵀW_Q h_q of the
            product. "update": the mean of |(ΔW - ΔW_r) h_q|² over the S given, where W_K and the product have a metric
            on both sides and the norm of the update can only fall; for linear attention.
        components: "largest", or, without a metric, "smallest": the r smallest singular components are kept instead.

    Returns: a copy in float64.
    Raises: ValueError for anything out of range, a metric for an MLP, for several layers or for the smallest
        components, or "update" for a model that is not linear.
    Source: Y Algorithm 1 and Section 2 (arXiv:2406.03768v2); the metrics and the product: new.

    Example:
        >>> import numpy as np
        >>> from icl_theory import random_weights, truncate_weights
        >>> model = truncate_weights(random_weights(0, layers=2, token_dim=4), layer=1, module="value", rank=2)
        >>> [int(rank) for rank in np.linalg.matrix_rank(model.value)]
        [4, 2]
    """
    model = checked(model)
    rank = checks.integer("rank", rank, 0, module_rank(model, module), "a rank is at most the smaller side")
    options: Any = {"inputs": inputs, "queries": queries, "target": target, "components": components}
    return ModuleTruncations(model, layer=layer, module=module, **options)[rank]
