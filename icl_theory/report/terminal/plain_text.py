"""Greek letters and mathematical signs spelt out, for an output that cannot show them. Importing this file is quick."""

import codecs
import io
import sys
from typing import Any

_SPELT = {
    **{
        "Δ": "Delta ",
        "Λ": "Lambda",
        "Σ": "Sum ",
        "Γ": "Gamma",
        "Ω": "Omega",
        "Π": "Prod ",
        "α": "alpha",
        "ρ": "rho",
        "γ": "gamma",
    },
    **{"δ": "delta", "ε": "eps", "η": "eta", "κ": "kappa", "λ": "lambda", "μ": "mu", "ξ": "xi", "σ": "sigma"},
    **{"φ": "phi", "χ": "chi", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "≻": ">", "∞": "inf", "√": "sqrt"},
    **{"±": "+-", "×": "x", "·": "*", "⊗": "(x)", "→": "->", "←": "<-", "∈": "in", "∇": "grad ", "∂": "d", "∩": "&"},
    **{"ᵀ": "^T", "⁻": "^-", "¹": "1", "²": "^2", "³": "^3", "⁴": "^4", "½": "1/2", "₁": "_1", "₂": "_2", "…": "..."},
    **{
        "ŷ": "y_hat",
        "ĥ": "h_hat",
        "Ŵ": "W_hat",
        "Ĥ": "H_hat",
        "\u0303": "~",
        "–": "-",
        "—": "-",
        "’": "'",
        "“": '"',
        "”": '"',
        "•": "*",
    },
}


def set_ascii_fallback() -> None:
    """Make both streams spell out what their encoding cannot show, instead of failing in the middle of a table."""
    codecs.register_error("icl_theory.spell", _spelt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="icl_theory.spell")


def _spelt(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return ascii_text(error.object[error.start : error.end]), error.end


def ascii_text(text: str) -> str:
    """`text` with Greek letters and mathematical signs spelt out, for an output that cannot show them."""
    return text.translate(str.maketrans(_SPELT)).encode("ascii", "replace").decode("ascii")


def ascii_records(value: Any) -> Any:
    """A record whose every string went through `ascii_text`, before it is laid out in columns."""
    if isinstance(value, dict):
        return {key: ascii_records(item) for key, item in value.items()}
    if isinstance(value, list):
        return [ascii_records(item) for item in value]
    return ascii_text(value) if isinstance(value, str) else value
