"""Weights as other people store them: which array is which matrix, and the conventions they are stored in.

Importing this file is quick.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import get_args

from icl_theory.core.field_docs import fields_in_help
from icl_theory.models.options import OPTIONS, Activation, Kind, Mask, Normalization, Readout

ROLES = ("value", "key", "query", "output", "key_query", "query_key", "mlp_in", "mlp_out")
"""W_V, W_K, W_Q, W_O; the product A of scores h_i · A h_q or h_q · A h_i; both matrices of an MLP."""

_SYNONYMS: dict[str, tuple[str, ...]] = {
    "value": ("value", "values", "v", "wv", "w_v", "v_proj", "value_proj", "to_v", "pv", "ov", "w_pv", "w_ov"),
    "key": ("key", "keys", "k", "wk", "w_k", "k_proj", "key_proj", "to_k"),
    "query": ("query", "queries", "q", "wq", "w_q", "q_proj", "query_proj", "to_q"),
    "output": ("output", "out", "o", "wo", "w_o", "o_proj", "out_proj", "output_proj", "to_out"),
    "key_query": ("kq", "w_kq", "wkq", "key_query"),
    "query_key": ("qk", "w_qk", "wqk", "query_key"),
    "mlp_in": ("mlp_in", "fc1", "c_fc", "w_in", "win", "up_proj", "fc_in"),
    "mlp_out": ("mlp_out", "fc2", "w_out", "wout", "down_proj", "fc_out"),
}
_ROLE_OF = {name: role for role, names in _SYNONYMS.items() for name in names}


@fields_in_help
@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the arrays of a file are to be read; every choice is the reader's, none is guessed from numbers.

    A linear layer of torch stores W of W h, as this package does; a kernel of flax or keras, and code that writes
    x @ W, stores its transpose.

    Example:
        >>> from icl_theory import Layout
        >>> Layout(names=("value=blocks.{layer}.attn.v.weight",), transposed=True).names
        ('value=blocks.{layer}.attn.v.weight',)
    """

    names: tuple[str, ...] = ()
    """Which array is what, as role=name with the role one of value, key, query, output, key_query, query_key, mlp_in,
    mlp_out and {layer} where the name counts layers. Usual names (W_V, q_proj.weight, kq, ...) are found unasked."""
    transposed: bool = False
    """The matrices act on rows from the right, x @ W: their transposes are read."""
    labels_first: bool = False
    """Tokens are [y; x] instead of [x; y]."""
    label_entries: int = 1
    """d_y, the entries of a label."""
    packed_heads: int = 1
    """Heads whose rows lie one after the other in W_Q, W_K and W_V, and whose columns do in the output matrix."""
    scale: float = 1.0
    """Factor of every score, for instance 1/sqrt(d_head)."""
    kind: Kind = "linear"
    """Attention of the file's model, linear or softmax."""
    mask: Mask = "demonstrations"
    """What its tokens attend to: all demonstrations, or (causal) itself and earlier ones; the query to itself as well
    (decoder), or every token to all of them, the query included."""
    normalization: Normalization = "mean"
    """Whether its sum over demonstrations is divided by their number."""
    activation: Activation = "identity"
    """Activation of its MLP."""
    readout: Readout = "minus"
    """Sign with which its prediction is read from the label slot of the query; "plus" is what most code does."""


def check_layout(layout: Layout) -> dict[str, str]:
    """The names that a layout states, by role. Raises: ValueError for a role or an option that there is not."""
    from icl_theory.core import checks

    for name, allowed in OPTIONS.items():
        checks.choice(name, getattr(layout, name), get_args(allowed))
    checks.integer("label_entries", layout.label_entries, 1, None, "a label has at least one entry")
    checks.integer("packed_heads", layout.packed_heads, 1, None, "use 1 for a single head")
    checks.number("scale", layout.scale, low=0.0, strict=True, hint="use 1 for plain scores")
    stated: dict[str, str] = {}
    for pair in layout.names:
        role, equals, name = pair.partition("=")
        if not equals or role not in ROLES or not name:
            expected = f"role=name with a role among {', '.join(ROLES)}"
            raise checks.error("names", repr(pair), expected, "write value=W_V, say")
        if role in stated:
            raise checks.error("names", f"{role} twice", "one name for each role", "use {layer} for several layers")
        stated[role] = name
    return stated


def assigned(arrays: Iterable[str], stated: Mapping[str, str]) -> dict[str, dict[int | None, str]]:
    """role → layer → name of the array; the layer is None for an array that holds all layers, or the only one.

    Raises: ValueError for a stated name that is not there, or two arrays that could be the same matrix.
    """
    from icl_theory.core import checks

    arrays = list(arrays)
    found: dict[str, dict[int | None, str]] = {}
    for role, pattern in stated.items():
        matches = _matching(arrays, pattern)
        if not matches:
            raise checks.error("names", f"{role}={pattern}", f"one of {_listed(arrays)}", "write the name in full")
        found[role] = matches
    if stated:
        return found  # whoever names one names all: a second guess could add what was left out on purpose
    for name in arrays:
        role, layer = _guess(name)
        if role is None:
            continue
        other = found.setdefault(role, {}).setdefault(layer, name)
        if other != name:
            hint = "say which one with names, role=name for every matrix"
            raise checks.error("arrays", f"{other!r} and {name!r}, both of which could be {role}", "one", hint)
    return found


def _matching(arrays: list[str], pattern: str) -> dict[int | None, str]:
    if "{layer}" not in pattern:
        return {None: pattern} if pattern in arrays else {}
    before, _, after = pattern.partition("{layer}")
    expression = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    return {int(match[1]): name for name in arrays if (match := expression.fullmatch(name))}


def _guess(name: str) -> tuple[str | None, int | None]:
    """What an array is by its name: the role that its last words name, and the layer if one of them is a number."""
    words = [word for word in re.split(r"[./]", name.lower()) if word not in ("weight", "kernel", "weights")]
    layer = next((int(word) for word in words if word.isdigit()), None)
    words = [word for word in words if not word.isdigit()]
    last = words[-1] if words else ""
    numbered = re.fullmatch(r"(.*?)_?(\d+)", last)
    if last not in _ROLE_OF and numbered and layer is None and numbered[1] in _ROLE_OF:
        return _ROLE_OF[numbered[1]], int(numbered[2])
    return _ROLE_OF.get(last), layer


def is_bias(name: str) -> bool:
    """Whether an array is a bias by its name."""
    return bool(re.search(r"(^|[._/])(bias|b)(_?[a-z]*)$", name.lower())) or name.lower().startswith("b_")


def _listed(arrays: list[str]) -> str:
    shown = ", ".join(sorted(arrays)[:12])
    return shown + (f" and {len(arrays) - 12} more" if len(arrays) > 12 else "")
