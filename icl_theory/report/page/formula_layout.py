"""A formula's tokens as MathML: brackets folded, scripts, square roots and unambiguous fractions set as such.

The signs that mark them (`_`, `^`, braces of a script, `sqrt( )`, `/` and the brackets around a fraction or its
parts) go; "-" becomes a minus sign and "'" a prime. Everything else stays as it was written, in the same order.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from icl_theory.report.page.elements import Markup, joined, tag
from icl_theory.report.page.formula_tokens import Token, tokens

_THIN = Markup('<mspace width="0.17em"></mspace>')
_BLANK = Markup('<mspace width="0.27em"></mspace>')
_ACCENTS = str.maketrans("\u0302\u0303\u0304", "ˆ˜¯")  # combining marks have no width to be centred by
_UPRIGHT = set("ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ∂∇∞½√")


@dataclass(frozen=True)
class Node:
    """A token, or a pair of brackets with what is between them."""

    token: Token
    """The token; of a bracket the opening one."""
    inner: "tuple[Node, ...] | None" = None
    close: Token | None = None
    spaced: bool = False
    """Whether a space stood before it."""

    @property
    def operator(self) -> bool:
        return self.token.kind == "operator"

    @property
    def operand(self) -> bool:
        """A letter, number or bracket: what may stand above or below a fraction's line."""
        return self.inner is not None or self.token.kind in ("letter", "number")


def tree(run: Sequence[Token]) -> list[Node]:
    """Tokens with bracketed parts folded; a bracket without its partner stays a sign."""
    stack: list[list[Node]] = [[]]
    openings: list[tuple[Token, bool]] = []
    spaced = False
    for token in run:
        if token.kind == "open":
            openings.append((token, spaced))
            stack.append([])
        elif token.kind == "close" and openings:
            inner, (opening, space) = tuple(stack.pop()), openings.pop()
            stack[-1].append(Node(opening, inner, token, space))
        elif token.kind != "space":
            stack[-1].append(Node(token, spaced=spaced))
        spaced = token.kind == "space"
    while openings:
        inner, (opening, space) = stack.pop(), openings.pop()
        stack[-1] += [Node(opening, spaced=space), *inner]
    return stack[-1]


def row(nodes: Sequence[Node], fractions: bool) -> Markup:
    """The nodes side by side; roots and fractions where the notation leaves no doubt."""
    parts: list[Markup] = []
    i = 0
    while i < len(nodes):
        node = nodes[i]
        parts += _gap(nodes[i - 1], node) if i and node.spaced else []
        if node.token.raw == "sqrt" and i + 1 < len(nodes) and _is_argument(nodes[i + 1]):
            parts.append(_scripts(tag("msqrt", row(nodes[i + 1].inner or (), fractions)), nodes[i + 1].close))
            i += 2
        elif fractions and _is_fraction(nodes, i):
            parts.append(tag("mfrac", _bare(node), _bare(nodes[i + 2])))
            i += 3
        else:
            parts.append(_node(nodes, i, fractions))
            i += 1
    return joined(*parts)


def _gap(before: Node, node: Node) -> list[Markup]:
    """The blank that stands before a node, where no sign brings its own."""
    words = "word" in (before.token.kind, node.token.kind)
    if before.operator and before.token.text in ",;:":
        return [_THIN] * words
    return [] if before.operator or node.operator else [_BLANK if words else _THIN]


def _is_argument(node: Node) -> bool:
    return node.inner is not None and node.token.text == "(" and not node.spaced


def _is_fraction(nodes: Sequence[Node], i: int) -> bool:
    """operand / operand, with neither a factor in front of the first nor one right behind the second."""
    if i + 2 >= len(nodes) or nodes[i + 1].token.raw != "/" or not (nodes[i].operand and nodes[i + 2].operand):
        return False
    if not all(_plain_bracket(node) and not _holds_fraction(node) for node in (nodes[i], nodes[i + 2])):
        return False
    alone = i == 0 or (nodes[i - 1].operator and nodes[i - 1].token.raw != "/")
    behind = nodes[i + 3] if i + 3 < len(nodes) else None
    ended = behind is None or behind.spaced or behind.operator
    return alone and ended and not (behind is not None and behind.token.raw == "/")


def _plain_bracket(node: Node) -> bool:
    """No scripts on a bracket whose signs the fraction's line will replace, and more than one thing in it."""
    if node.inner is None or node.close is None:
        return True
    return node.token.text == "(" and not node.close.sub and not node.close.sup and len(node.inner) > 1


def _holds_fraction(node: Node) -> bool:
    """Brackets around a fraction and nothing else."""
    return node.inner is not None and len(node.inner) == 3 and _is_fraction(node.inner, 0)


def _bare(node: Node) -> Markup:
    """An operand above or below the line, without its brackets."""
    return tag("mrow", row(node.inner, True)) if node.inner is not None else _node([node], 0, True)


def _node(nodes: Sequence[Node], i: int, fractions: bool) -> Markup:
    node = nodes[i]
    if node.inner is None or node.close is None:
        prefix = i == 0 or nodes[i - 1].operator
        return _scripts(_leaf(node.token, prefix, nodes, i), node.token)
    inner = row(node.inner, fractions)
    attached = i > 0 and not node.spaced and not nodes[i - 1].operator
    if fractions and not attached and _plain_bracket(node) and _holds_fraction(node):
        return Markup(str(inner).replace("<mfrac>", '<mfrac class="bracketed">', 1))
    stretchy = "true" if "<mfrac" in inner or "<msqrt>" in inner else "false"
    first = tag("mo", node.token.text, form="prefix", stretchy=stretchy)
    last = tag("mo", node.close.text, form="postfix", stretchy=stretchy)
    return _scripts(tag("mrow", first, inner, last), node.close)


def _leaf(token: Token, prefix: bool, nodes: Sequence[Node], i: int) -> Markup:
    """A token without its scripts; a word is set upright."""
    if token.kind == "number":
        return tag("mn", token.text)
    if token.kind == "letter":
        return _identifier(token.text, nodes, i)
    if token.kind == "operator":
        return _operator(nodes[i], prefix)
    if token.kind == "bar":
        return tag("mo", token.text, form=_bar_form(nodes, i), stretchy="false")
    if token.kind in ("open", "close"):
        return tag("mo", token.text, form="prefix" if token.kind == "open" else "postfix", stretchy="false")
    if token.kind == "factorial":
        return tag("mo", token.text, form="postfix", lspace="0", rspace="0")
    return tag("mi" if token.kind in ("function", "dots") else "mtext", token.text.replace("...", "…"))


def _operator(node: Node, prefix: bool) -> Markup:
    sign = node.token.text.replace("-", "−")
    if sign in ("/", "..", "~"):
        gap = "0.28em" if sign == "~" else "0.22em" if node.spaced else "0"
        return tag("mo", sign, form="infix", stretchy="false" if sign == "~" else None, lspace=gap, rspace=gap)
    return tag("mo", sign, form="prefix" if prefix and sign in "−+±" else "infix")


def _identifier(letter: str, nodes: Sequence[Node], i: int) -> Markup:
    """Latin and small Greek letters in italics, capital Greek ones upright; `x` between two letters is a cross."""
    if letter == "x" and 0 < i < len(nodes) - 1 and nodes[i].spaced and nodes[i + 1].spaced:
        around = nodes[i - 1], nodes[i + 1]
        if all(node.operand and not nodes[i].token.sub for node in around):
            return tag("mo", letter, form="infix", lspace="0.22em", rspace="0.22em")
    if letter in _UPRIGHT:
        return tag("mi", letter, mathvariant="normal")
    base, *accents = unicodedata.normalize("NFD", letter)
    if not accents:
        return tag("mi", base)
    above = "".join(accents).translate(_ACCENTS)
    return tag("mover", tag("mi", base), tag("mo", above, stretchy="false"), accent="true")


def _bar_form(nodes: Sequence[Node], i: int) -> str:
    """Bars come in pairs; one with a space on both sides separates."""
    loose = nodes[i].spaced and (i + 1 == len(nodes) or nodes[i + 1].spaced) and not nodes[i].token.sup
    open_before = sum(node.token.text == nodes[i].token.text and node.inner is None for node in nodes[:i]) % 2
    return "postfix" if open_before else "infix" if loose else "prefix"


def _scripts(base: Markup, token: Token | None) -> Markup:
    """The base with its scripts, in the order written; primes are raised by themselves and stand next to it."""
    if token is None:
        return base
    rest = token.sup.lstrip("′")
    primes = token.sup[: len(token.sup) - len(rest)]
    sub, sup = (_script(content) if content else None for content in (token.sub, rest))
    if sub and sup and not primes and not token.raised_first:
        return tag("msubsup", base, sub, sup)
    if sub and not token.raised_first:
        base = tag("msub", base, sub)
    if primes:
        base = tag("mrow", base, tag("mo", primes, form="postfix", lspace="0", rspace="0"))
    if sup:
        base = tag("msup", base, sup)
    return tag("msub", base, sub) if sub and token.raised_first else base


def _script(content: str) -> Markup:
    """What stands above or below: a formula without fractions."""
    if content == "T":
        return tag("mi", content, mathvariant="normal")
    made = row(tree(tokens(content)), fractions=False)
    # Operators in scripts are set closer, which browsers do not do by themselves.
    return tag("mrow", Markup(str(made).replace('form="infix">', 'form="infix" lspace="0.08em" rspace="0.08em">')))
