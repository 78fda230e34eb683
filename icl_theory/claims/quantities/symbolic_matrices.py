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


def product_of_norms_proof() -> bool:
    """$2 x 2$ with symbols (Lagrange): $||A||² ||B||² - ||A B||² = Σ_ij (a_{i1} b_{2j} - a_{i2} b_{1j})²$, a sum of
    squares."""
    (a, b, c, d), (e, f, g, h) = (sp.symbols(f"{name}:4", real=True) for name in "ab")
    left, right = sp.Matrix([[a, b], [c, d]]), sp.Matrix([[e, f], [g, h]])
    sizes = [sum((entry**2 for entry in matrix.flat()), sp.Integer(0)) for matrix in (left, right, left * right)]
    rest = sum(((x * v - y * u) ** 2 for x, y in ((a, b), (c, d)) for u, v in ((e, g), (f, h))), sp.Integer(0))
    return sp.expand(sizes[0] * sizes[1] - sizes[2] - rest) == 0
