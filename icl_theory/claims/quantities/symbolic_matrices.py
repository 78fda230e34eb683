"""Small symbolic matrices that derivations share."""

import sympy as sp


def rotation(name: str) -> sp.Matrix:
    """A general rotation of the plane with rational entries: cosine (1 - t²)/(1 + t²), sine 2t/(1 + t²)."""
    t = sp.Symbol(name, real=True)
    cosine, sine = (1 - t**2) / (1 + t**2), 2 * t / (1 + t**2)
    return sp.Matrix([[cosine, -sine], [sine, cosine]])


def norm_excess(kept: sp.Matrix, dropped: sp.Matrix) -> sp.Expr:
    """||kept + dropped||_F² - ||kept||_F² - ||dropped||_F², simplified."""
    whole = kept + dropped
    return sp.simplify((whole.T * whole - kept.T * kept - dropped.T * dropped).trace())
