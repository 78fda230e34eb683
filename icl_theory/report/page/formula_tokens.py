"""Tokens of the Unicode notation in which the formulas of claims are written.

The notation is what one types: `W_K`, `W_{t-1}`, `h_q^L`, `Wᵀ`, `||ΔW||_F²`, `(1/N) Σ_i`, `sqrt(...)`, `log det C`.
Words may stand in it, as in `gap ≤ c`. What is not recognised stays as it is.
"""

import re
import unicodedata
from dataclasses import dataclass, replace

FUNCTIONS = frozenset(
    ("log", "det", "tr", "rank", "dim", "exp", "diag", "vec", "sqrt", "max", "min", "cos", "cosh", "span", "Cov", "Var")
) | {"KL"}
RELATIONS = frozenset("=≤≥≠≈≻≽<>∈→∝~")
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀⁱⁿ"
_LOWERED = "₀₁₂₃₄₅₆₇₈₉₊₋ᵢⱼₖₙₜ"
_LETTER = r"(?:[A-Za-zŷĥŵĝŴĤ\u0391-\u03c9∂∇∞½√][\u0300-\u036f]*)"
_SCRIPTS = re.compile(
    rf"(?P<sub>_(?:\{{[^{{}}]+\}}|[A-Za-z\u0391-\u03c9]+|\d+)|[{_LOWERED}]+)"
    rf"|(?P<sup>\^(?:\{{[^{{}}]+\}}|[A-Za-z\u0391-\u03c9]|-?\d+)"
    rf"|[{_RAISED}]+(?:'+(?![A-Za-z0-9]))?|'+(?![A-Za-z0-9])[{_RAISED}]*)"
)
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf\b)"
    r"|(?P<word>[A-Za-z]{2,})"
    rf"|(?P<letter>{_LETTER})"
    r"|(?P<bar>\|\||\|)"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])"
    r"|(?P<dots>\.\.\.|…)"
    r"|(?P<factorial>!)"
    r"|(?P<operator>\.\.|[=≤≥≠≈≻≽<>∈→∝~+\-−±·×⊗∩∪/,;:])"
    r"|(?P<other>.)",
    re.DOTALL,
)
_SCRIPTED = ("letter", "word", "function", "number", "close", "bar")


@dataclass(frozen=True)
class Token:
    """A piece of a formula; `raw` of all tokens, put together, is the formula."""

    kind: str
    """space, number, word, function, letter, bar, open, close, dots, factorial, operator or other."""
    text: str
    """The token without its scripts."""
    raw: str
    sub: str = ""
    """Content of the subscript, without `_` and braces."""
    sup: str = ""
    """Content of the superscript; ² has become 2, ᵀ has become T, ' has become ′."""
    raised_first: bool = False
    """Whether the superscript was written before the subscript."""


def tokens(source: str) -> list[Token]:
    """The formula in pieces, scripts attached."""
    result, at = [], 0
    while at < len(source):
        found = next(_TOKEN.finditer(source, at))  # the last alternative matches any character
        kind, text = found.lastgroup or "other", found[0]
        if kind == "word" and re.fullmatch("[a-z][A-Z]", text):  # bN is a product, not a word
            kind, text = "letter", text[0]
        if kind == "word" and text in FUNCTIONS:
            kind = "function"
        token = Token(kind, text, text)
        if kind in _SCRIPTED:
            token = _with_scripts(token, source, at + len(text))
        result.append(token)
        at += len(token.raw)
    return result


def _with_scripts(token: Token, source: str, start: int) -> Token:
    """The token with at most one subscript and one superscript that stand directly behind it."""
    while found := _SCRIPTS.match(source, start):
        name = found.lastgroup or ""
        if getattr(token, name):
            break
        first = token.raised_first or (name == "sup" and not token.sub)
        token = replace(token, raw=token.raw + found[0], raised_first=first, **{name: _script(found[0])})
        start = found.end()
    return token


def _script(matched: str) -> str:
    content = matched.lstrip("_^") if matched[0] in "_^" else unicodedata.normalize("NFKC", matched)
    return content.strip("{}").replace("'", "′")
