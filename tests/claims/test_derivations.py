"""Every symbolic derivation comes out true, and false as soon as a sign, a number or a comparison in it is changed."""

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator

import pytest

from icl_theory.claims.order import LABELS
from icl_theory.claims.registry import load

DERIVED = [label for label in LABELS if load(label).proof is not None]
ENOUGH = 2  # wrong versions of every derivation that must come out false


def sites(tree: ast.AST) -> list[ast.AST]:
    """Sums, differences and small whole numbers, in the order of the source; no indices and no words."""
    skipped = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Subscript) for part in ast.walk(node.slice)}
    return [
        node
        for node in ast.walk(tree)
        if id(node) not in skipped
        and (
            (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub))
            or (isinstance(node, ast.Constant) and type(node.value) is int)
        )
    ]


def damage(node: ast.AST) -> None:
    if isinstance(node, ast.BinOp):
        node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
    elif isinstance(node, ast.Constant):
        node.value = int(str(node.value)) + 1


def controlled(proof: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
    """The derivation with one place changed, for every place."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(proof)))
    for place in range(len(sites(tree))):
        changed = copy.deepcopy(tree)
        damage(sites(changed)[place])
        names = dict(vars(inspect.getmodule(proof)))
        exec(compile(ast.fix_missing_locations(changed), "<damaged>", "exec"), names)
        yield names[proof.__name__]


def says_no(proof: Callable[[], bool]) -> bool:
    """Whether it runs and comes out false; one that breaks down shows nothing."""
    try:
        return not proof()
    except Exception:  # whatever a changed line breaks: that is not a "no"
        return False


SLOW = ("support_dimension",)  # every pair of ranks up to D = 6, again and again


@pytest.mark.parametrize(
    "label", [pytest.param(label, marks=pytest.mark.slow if label in SLOW else ()) for label in DERIVED]
)
def test_derivation_can_be_false(label: str) -> None:
    """A derivation is true and can be false."""
    proof = load(label).proof
    assert proof is not None
    assert proof() is True
    found = 0
    for changed in controlled(proof):
        found += says_no(changed)
        if found == ENOUGH:
            return
    pytest.fail(f"{found} wrong derivations came out false, expected {ENOUGH}")


def test_empty_derivation() -> None:
    """A derivation of nothing is seen."""

    def nothing() -> bool:
        return 1 + 1 == 1 + 1 or True

    assert not any(map(says_no, controlled(nothing)))
