"""What a model is besides its matrices, as plain words and numbers. Importing this file is quick."""

from dataclasses import dataclass
from typing import Literal

from icl_theory.core.field_docs import fields_in_help

Kind = Literal["linear", "softmax"]
Mask = Literal["demonstrations", "causal", "decoder", "all"]
"""What a token attends to. The query is seen by nobody under the first two (Y App. B.1); under the others it is a token
as all others, so that its update is not linear in x_q and the theory of W does not apply."""
Normalization = Literal["mean", "sum"]
Activation = Literal["identity", "relu"]
Readout = Literal["minus", "plus"]
Matrix = Literal["value", "key", "query"]
Module = Literal["value", "key", "query", "key_query", "attention", "mlp", "all"]
"""What can be truncated at once: a matrix, the product W_KᵀW_Q, all of the attention, the MLP, or everything."""
Components = Literal["largest", "smallest"]
"""Which singular components a truncation keeps; the smallest are kept to see what the others carry."""
OPTIONS = {"kind": Kind, "mask": Mask, "normalization": Normalization, "activation": Activation, "readout": Readout}
"""The static fields of `Model`; every public function reads them from the model and none takes them."""


@fields_in_help
@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The shape of a model that is to be trained."""

    layers: int = 1
    """Number of layers L."""
    heads: int = 1
    """Attention heads per layer."""
    tied: bool = False
    """Whether all layers share one set of weights."""
    kind: Kind = "linear"
    """Attention, linear or softmax."""
    mask: Mask = "demonstrations"
    """What a token attends to: all demonstrations, or (causal) a demonstration to itself and earlier ones; the query to
    itself too as the last token of a decoder, or every token to all, the query included."""
    hidden: int = 0
    """Width of the MLP behind every attention layer; 0: none."""
    activation: Activation = "identity"
    """Activation of the MLP."""
    readout: Readout = "minus"
    """Sign with which the prediction is read from the label slot of the query."""

    @property
    def linear_in_moments(self) -> bool:
        """Whether the model is a function of the second moment S of the demonstrations, and linear in x_q."""
        plain = (self.kind, self.mask) == ("linear", "demonstrations")
        return plain and (self.hidden == 0 or self.activation == "identity")
