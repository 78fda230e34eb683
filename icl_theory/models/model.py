"""A linear-attention transformer as one object: its matrices, and what they are matrices of."""

from dataclasses import dataclass, field, replace
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np

from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.ranks import PRECISIONS, Precision, coarsest, precision_of
from icl_theory.models.options import OPTIONS, Activation, Kind, Mask, Normalization, Readout
from icl_theory.models.rank_notes import Ranks, kept, noted, without

MATRICES = ("value", "key", "query", "mlp_in", "mlp_out")


@fields_in_help
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Model:
    """A transformer for regression in context: a pytree of matrices, with static fields that say how they are used.

    Layer t maps a token h to h + Σ_heads W_V H (W_K H)ᵀ W_Q h / N, the sum in H running over the N demonstrations
    (Y Eq. 3, arXiv:2406.03768v2, has one head). With an MLP the update is W_out act(W_in · attention) instead
    (Y App. A.3). The prediction is ∓ the label slots of the query after the last layer.

    `Model.create` checks what it is given; the constructor does not, since it also runs inside jax's transformations.
    A leading axis of seeds, before the layers, makes an ensemble; `member` takes one model out of it.

    Example:
        >>> import numpy as np
        >>> from icl_theory import Model
        >>> model = Model.create(value=np.eye(3), key=np.eye(3), query=np.eye(3), kind="softmax")
        >>> model
        Model(layers=1, token_dim=3, kind='softmax')
    """

    value: Any
    """W_V, shape (layers, D, D), or (layers, heads, D, D)."""
    key: Any
    """W_K, shape as W_V."""
    query: Any
    """W_Q, shape as W_V."""
    mlp_in: Any = None
    """W_in, shape (layers, hidden, D), or None."""
    mlp_out: Any = None
    """W_out, shape (layers, D, hidden), or None."""
    kind: Kind = field(default="linear", kw_only=True, metadata={"static": True})
    """"linear", or "softmax" (its normaliser includes the query, whose value is masked; Y App. A.2)."""
    mask: Mask = field(default="demonstrations", kw_only=True, metadata={"static": True})
    """"demonstrations": every token sees all of them; "causal": a demonstration sees itself and earlier ones only, the
    query sees all. With the query as a key like the others: "decoder", every token sees itself and earlier ones, the
    query being the last; "all", every token sees all."""
    normalization: Normalization = field(default="mean", kw_only=True, metadata={"static": True})
    """"mean" divides the sum over demonstrations by N (Y Section 3.3), "sum" does not (Y Section 3.2); without effect
    for softmax."""
    activation: Activation = field(default="identity", kw_only=True, metadata={"static": True})
    """Of the MLP if there is one, "identity" or "relu"."""
    readout: Readout = field(default="minus", kw_only=True, metadata={"static": True})
    """Sign with which the query's label slots are read: "minus", ŷ = -(label slots), or "plus"."""
    heads: int | None = field(default=None, kw_only=True, metadata={"static": True})
    """Number of heads H; None for one head without an axis of its own."""
    precision: Precision | None = field(default=None, kw_only=True, metadata={"static": True})
    """What its numbers were rounded to, where their dtype does not say it; it decides which singular values are 0."""
    ranks: Ranks = field(default=(), kw_only=True, metadata={"static": True})
    """Ranks that are known, from truncation say, by matrix; functions that use them compare them with the numbers."""

    @classmethod
    def create(
        cls,
        value: Any,
        key: Any,
        query: Any,
        mlp_in: Any = None,
        mlp_out: Any = None,
        *,
        heads: int | None = None,
        kind: Kind = "linear",
        mask: Mask = "demonstrations",
        normalization: Normalization = "mean",
        activation: Activation = "identity",
        readout: Readout = "minus",
        precision: Precision | None = None,
        ranks: Any = None,
    ) -> "Model":
        """A single model, checked, in float64.

        Args:
            value: W_V, shape (D, D) for one layer, (layers, D, D), or with `heads` (layers, heads, D, D).
            key: W_K, shape as `value`.
            query: W_Q, shape as `value`.
            mlp_in: W_in, shape (layers, hidden, D), or None.
            mlp_out: W_out, shape (layers, D, hidden), or None.
            heads: H, if the matrices have an axis of heads; it is never guessed from four axes, which could be seeds.
            kind: "linear" or "softmax".
            mask: "demonstrations", "causal", "decoder" or "all".
            normalization: "mean" or "sum".
            activation: of the MLP, "identity" or "relu".
            readout: "minus" or "plus".
            precision: "float32", say, of numbers that were rounded before they came as float64; else by their dtype.
            ranks: what is known, {"value": [2, None]} for two layers: a number by layer (and head), None if not known.

        Raises: ValueError for shapes that do not match, NaN, only one matrix of an MLP, or an unknown option.
        """
        options: dict[str, Any] = {"kind": kind, "mask": mask, "normalization": normalization}
        options |= {"activation": activation, "readout": readout}
        for name, option in options.items():
            checks.choice(name, option, get_args(OPTIONS[name]))
        stated: Precision | None = precision
        if stated is not None:
            checks.choice("precision", stated, PRECISIONS)
        given: list[Precision | None] = [precision_of(matrix) for matrix in (value, key, query, mlp_in, mlp_out)]
        stated = coarsest(stated, *given)
        value, key, query = _attention(value, key, query, heads)
        layers, dimension = value.shape[0], value.shape[-1]
        if (mlp_in is None) != (mlp_out is None):
            raise checks.error("model.mlp_in, mlp_out", "only one of the two", "both or none", "pass both")
        if mlp_in is not None:
            mlp_in = checks.array("model.mlp_in", mlp_in, (layers, None, dimension))
            mlp_out = checks.array("model.mlp_out", mlp_out, (layers, dimension, mlp_in.shape[1]))
        result = cls(value, key, query, mlp_in, mlp_out, heads=heads, precision=stated, **options)
        return result.replace(ranks=noted(ranks, result.shapes)) if ranks else result

    @property
    def layers(self) -> int:
        """L, the number of layers."""
        return self.value.shape[-3 if self.heads is None else -4]

    @property
    def token_dim(self) -> int:
        """D, the token dimension."""
        return self.value.shape[-1]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the matrices that the model has, by name, without seeds."""
        found = {name: np.shape(getattr(self, name)) for name in MATRICES if getattr(self, name) is not None}
        return found if self.seeds is None else {name: shape[1:] for name, shape in found.items()}

    @property
    def options(self) -> dict[str, Any]:
        """The static fields that say how the matrices are used, by name."""
        return {name: getattr(self, name) for name in OPTIONS}

    @property
    def seeds(self) -> int | None:
        """Number of ensemble members, or None for a single model."""
        single = 3 if self.heads is None else 4
        return self.value.shape[0] if np.ndim(self.value) > single else None

    @property
    def linear_in_moments(self) -> bool:
        """Whether the prediction is a function of S and linear in x_q: linear attention, full mask, no ReLU."""
        plain = (self.kind, self.mask) == ("linear", "demonstrations")
        return plain and (self.mlp_in is None or self.activation == "identity")

    def member(self, seed: int) -> "Model":
        """One model out of an ensemble with a leading axis of seeds.

        Args:
            seed: which member, counted from 0.

        Raises: ValueError for a single model, or a member that does not exist.
        """
        if self.seeds is None:
            raise checks.error("model", "a single model", "an ensemble (seeds, layers, D, D)", "use it directly")
        seed = checks.integer("seed", seed, 0, self.seeds - 1, "choose a member of the ensemble")
        return jax.tree.map(lambda a: np.asarray(a)[seed], self)

    def first_layers(self, count: int) -> "Model":
        """The model that consists of the first layers of a single model.

        Args:
            count: how many layers.
        """
        return jax.tree.map(lambda a: a[:count], self.replace(ranks=kept(self.ranks, self.layers, count)))

    def repeated(self, copies: int) -> "Model":
        """All layers one after the other, several times: a model of tied layers, written out.

        Args:
            copies: how many times.
        """
        axis = -3 if self.heads is None else -4

        def tiled(name: str) -> Any:
            matrices = getattr(self, name)
            xp = np if isinstance(matrices, np.ndarray) else jnp
            return xp.concatenate([matrices] * copies, -3 if name.startswith("mlp") else axis)

        ranks = tuple((name, values * copies) for name, values in self.ranks)
        return self.replace(**{name: tiled(name) for name in self.shapes}, ranks=ranks)

    def replace(self, **changes: Any) -> "Model":
        """A copy with some fields replaced; like the constructor it does not check them.

        Ranks that were known of a matrix that is replaced are forgotten.

        Args:
            changes: new values of fields, by name.
        """
        changes.setdefault("ranks", without(self.ranks, changes))
        return replace(self, **changes)

    def with_heads(self) -> "Model":
        """The same model with an explicit axis of heads, of length one if there was none."""
        if self.heads is not None:
            return self
        value, key, query = (m[..., None, :, :] for m in (self.value, self.key, self.query))
        return self.replace(value=value, key=key, query=query, heads=1, ranks=self.ranks)

    def with_mean(self, demonstrations: int) -> "Model":
        """The model that with the mean over N demonstrations does what this one does with its own normalization.

        Args:
            demonstrations: N.
        """
        if self.kind == "softmax" or self.normalization == "mean":
            return self.replace(normalization="mean")
        return self.replace(normalization="mean", value=demonstrations * self.value, ranks=self.ranks)

    def left_factor(self) -> Any:
        """W_out W_in W_V per layer: what multiplies ΔW from the left when the MLP is linear (Y App. A.3)."""
        if self.mlp_in is None:
            return self.value
        mlp = self.mlp_out @ self.mlp_in
        return (mlp if self.heads is None else mlp[..., None, :, :]) @ self.value

    def without_mlp(self) -> "Model":
        """The model without an MLP that does the same as this one if its MLP is linear (Y App. A.3)."""
        return self.replace(value=self.left_factor(), mlp_in=None, mlp_out=None)

    def __repr__(self) -> str:
        sizes = {"seeds": self.seeds, "layers": self.layers, "heads": self.heads, "token_dim": self.token_dim}
        sizes["hidden"] = None if self.mlp_in is None else self.mlp_in.shape[-2]
        unusual = {name: option for name, option in self.options.items() if option != get_args(OPTIONS[name])[0]}
        words = {name: size for name, size in sizes.items() if size is not None} | unusual
        return f"Model({', '.join(f'{name}={word!r}' for name, word in words.items())})"


def _attention(value: Any, key: Any, query: Any, heads: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three stacks of one shape, (layers, D, D) or (layers, heads, D, D)."""
    if heads is not None:
        heads = checks.integer("heads", heads, 1, None, "leave it out for matrices without an axis of heads")
    stacks = {name: _stacked(name, a, heads) for name, a in (("value", value), ("key", key), ("query", query))}
    hint = "stack the layers: value, key and query are each (layers, D, D), or (layers, heads, D, D) with heads=H"
    shape = (None, None, None) if heads is None else (None, heads, None, None)
    first = checks.array("model.value", stacks["value"], shape, hint)
    square = (*first.shape[:-1], first.shape[-2])
    value, key, query = (checks.array(f"model.{name}", a, square, hint) for name, a in stacks.items())
    return value, key, query


def _stacked(name: str, matrices: Any, heads: int | None) -> Any:
    """A single matrix as a stack of one layer. Raises: ValueError for axes that could be read in two ways."""
    try:
        axes = np.ndim(matrices)
    except ValueError:
        raise checks.error(
            f"model.{name}", "lists of different lengths", "a full (layers, D, D) array", "fill the rows up"
        ) from None
    if axes == 4 and heads is None:
        hint = "say heads=H for (layers, heads, D, D); of an ensemble (seeds, layers, D, D) pass one member at a time"
        raise checks.error(f"model.{name}", f"shape {np.shape(matrices)}", "(layers, D, D)", hint)
    if axes == 2 and heads is None:
        # Whatever carries more than numbers, a mask say, is checked by `checks.array`, which must get it unchanged.
        return matrices[None] if isinstance(matrices, np.ndarray) else np.asarray(matrices)[None]
    return matrices
