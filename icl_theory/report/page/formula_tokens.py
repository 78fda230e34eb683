"""Which parts of a sentence are formulas: tokens of the Unicode notation in which claims are written.

The notation is what one types: `W_K`, `W_{t-1}`, `h_q^L`, `Wᵀ`, `||ΔW||_F²`, `(1/N) Σ_i`, `sqrt(...)`, `log det C`.
Nothing is guessed that the letters do not show: a word stays a word, and what is not recognised stays as it is.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

FUNCTIONS = frozenset(
    ("log", "det", "tr", "rank", "dim", "exp", "diag", "vec", "sqrt", "max", "min", "cos", "span", "Cov", "Var", "KL")
)
RELATIONS = frozenset("=≤≥≠≈≻≽<>∈→∝")
_INSIDE_ONLY = frozenset(",;:")
OPENING, CLOSING = "([{", ")]}"
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀⁱⁿ"
_LOWERED = "₀₁₂₃₄₅₆₇₈₉₊₋ᵢⱼₖₙₜ"
_LETTER = r"(?:[A-Za-zŷĥŵĝŴĤ\u0391-\u03c9∂∇∞½√][\u0300-\u036f]*)"
_SCRIPTS = re.compile(
    rf"(?P<sub>_(?:\{{[^{{}}]+\}}|[A-Za-z\u0391-\u03c9]+|\d+)|[{_LOWERED}]+)"
    rf"|(?P<sup>\^(?:\{{[^{{}}]+\}}|[A-Za-z]|-?\d+)|[{_RAISED}]+(?:'+(?![A-Za-z0-9]))?|'+(?![A-Za-z0-9])[{_RAISED}]*)"
)
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<code>`[^`]*`|[a-z]\.[a-z]\.|arXiv:\S+|[A-Za-z]{3,}[A-Za-z0-9]*(?:_[A-Za-z0-9]+)*_[A-Za-z]{2,}|\d+[A-Za-z]\w+(?<!\de\d))"
    r"|(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf\b)"
    r"|(?P<word>[A-Za-z]{2,}(?:[-'’][A-Za-z]+)*)"
    rf"|(?P<letter>{_LETTER})"
    r"|(?P<bar>\|\||\|)"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])"
    r"|(?P<operator>\.\.|[=≤≥≠≈≻≽<>∈→∝+\-−±·×⊗∩∪/,;:])"
    r"|(?P<other>['’]s\b|.)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """A piece of a sentence; `raw` of all tokens, put together, is the sentence."""

    kind: str
    """space, code, number, word, function, letter, bar, open, close, operator or other."""
    text: str
    """The token without its scripts."""
    raw: str
    sub: str = ""
    """Content of the subscript, without `_` and braces."""
    sup: str = ""
    """Content of the superscript; ² has become 2, ᵀ has become T, ' has become ′."""
    raised_first: bool = False
    """Whether the superscript was written before the subscript."""
    math: bool = False
    """Whether it belongs to a formula."""


def _script(matched: str) -> str:
    content = matched.lstrip("_^") if matched[0] in "_^" else unicodedata.normalize("NFKC", matched)
    return content.strip("{}").replace("'", "′")


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


def tokens(source: str) -> list[Token]:
    """The sentence in pieces, scripts attached, formulas not yet marked."""
    result, at = [], 0
    while at < len(source):
        found = next(_TOKEN.finditer(source, at))  # the last alternative matches any character
        kind, text = found.lastgroup or "other", found[0]
        if kind == "word" and re.fullmatch("[a-z][A-Z]", text):  # bN is a product, not a word
            kind, text = "letter", text[0]
        if kind == "word" and text in FUNCTIONS:
            kind = "function"
        token = Token(kind, text, text)
        if kind in ("letter", "function", "number", "close", "bar"):
            token = _with_scripts(token, source, at + len(text))
        result.append(token)
        at += len(token.raw)
    return result


def _partners(items: Sequence[Token]) -> dict[int, int]:
    """Index of the bracket that closes each opening one, and the other way round."""
    waiting: list[int] = []
    pairs = {}
    for i, token in enumerate(items):
        if token.kind == "open":
            waiting.append(i)
        elif token.kind == "close" and waiting:
            if OPENING.index(items[waiting[-1]].text) == CLOSING.index(token.text):
                pairs[waiting[-1]], pairs[i] = i, waiting[-1]
            waiting.pop()
    return pairs


def _neighbour(items: Sequence[Token], i: int, step: int) -> Token:
    """The next token in that direction that is no space."""
    i += step
    while 0 <= i < len(items) and items[i].kind == "space":
        i += step
    return items[i] if 0 <= i < len(items) else Token("other", "", "")


def _is_math(items: Sequence[Token], i: int, pairs: dict[int, int]) -> bool:
    """Whether token i may belong to a formula, by itself and its neighbours."""
    token, before, after = items[i], _neighbour(items, i, -1), _neighbour(items, i, 1)
    if token.kind == "letter":
        article = token.raw in ("a", "A") and after.kind in ("word", "code", "function")
        return not article or (before.kind == "operator" and before.text not in _INSIDE_ONLY)
    if token.kind == "function":
        return bool(token.sub) or after.kind in ("letter", "function", "open", "bar")
    if token.kind == "word":  # UB ≤ ..., ... = UB
        short = re.fullmatch("[A-Z]{2,3}", token.text) is not None
        return short and bool(RELATIONS & {before.text, after.text})
    if token.kind in ("open", "close"):
        return i in pairs and _bracket_is_math(items, *sorted((i, pairs[i])))
    return token.kind in ("number", "operator", "bar")


def _bracket_is_math(items: Sequence[Token], first: int, last: int) -> bool:
    """A pair of brackets with words in it belongs to a formula only as the argument of a function or letter."""
    attached = first > 0 and items[first - 1].kind in ("letter", "function")
    after_function = _neighbour(items, first, -1).kind == "function"
    return attached or after_function or not any(t.kind in ("word", "code", "other") for t in items[first:last])


def _separators_inside(items: list[Token]) -> list[Token]:
    """A comma, semicolon or colon belongs to a formula only within its brackets."""
    depth, result = 0, []
    for token in items:
        depth += (token.kind == "open" and token.math) - (token.kind == "close" and token.math)
        outside = depth <= 0 and token.text in _INSIDE_ONLY and token.kind == "operator"
        result.append(replace(token, math=False) if outside else token)
    return result


def _worth(run: Sequence[Token]) -> bool:
    """A formula has a letter in it; a number or a sign alone is left in the sentence."""
    return any(token.kind in ("letter", "function") or (token.kind == "word" and token.math) for token in run)


def _trimmed(items: Sequence[Token], first: int, last: int) -> tuple[int, int]:
    """A run without the spaces, dashes and reference numbers ("Theorem 2") at its ends."""
    while first < last and (items[first].kind == "space" or items[first].raw in (*"/,;:",)):
        first += 1
    if 0 < first < last - 1 and items[first].kind == "number" and items[first + 1].kind == "space":
        before = _neighbour(items, first, -1)
        first += 2 * (before.kind == "word" and before.text[0].isupper())
    while first < last and (items[last - 1].kind == "space" or items[last - 1].raw in (*"-/,;:", "..")):
        last -= 1
    return first, last


def segments(source: str) -> list[tuple[bool, list[Token]]]:
    """The sentence as alternating runs of (formula or not, tokens); the raw texts add up to the sentence."""
    items = tokens(source)
    pairs = _partners(items)
    items = _separators_inside([replace(t, math=_is_math(items, i, pairs)) for i, t in enumerate(items)])
    result: list[tuple[bool, list[Token]]] = []
    at = 0
    while at < len(items):
        end = at
        while end < len(items) and (items[end].math or items[end].kind == "space"):
            end += 1
        first, last = _trimmed(items, at, end)
        if first < last and _worth(items[first:last]):
            result += [(False, list(items[at:first])), (True, list(items[first:last])), (False, list(items[last:end]))]
        else:
            result.append((False, list(items[at:end])))
        if end < len(items):
            result.append((False, [items[end]]))
        at = end + 1
    return [(formula, run) for formula, run in result if run]
