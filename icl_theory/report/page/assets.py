"""Files that are shipped with the page and go into it as they are: its style with the font of formulas, its script."""

import base64
import hashlib
from importlib.resources import files

from icl_theory.report.page.elements import Markup

FAMILY = "icl theory math"
"""The font's name, as in page.css and in experiments/build_math_font.py, which makes it."""


def style() -> Markup:
    """page.css behind a rule with the font in it: readers whose system has no font for formulas need one."""
    source = f"url(data:font/woff;base64,{_base64(_asset('math.woff'))})"
    face = f'@font-face {{ font-family: "{FAMILY}"; src: {source} format("woff"); size-adjust: 107%; }}\n'
    return Markup(face + _asset("page.css").decode("utf-8"))


def script() -> Markup:
    return Markup(_asset("page.js").decode("utf-8"))


def digest(text: str) -> str:
    """What a policy calls this text by: the browser takes no other for it."""
    return f"'sha256-{_base64(hashlib.sha256(text.encode('utf-8')).digest())}'"


def _asset(name: str) -> bytes:
    return files("icl_theory.report").joinpath("assets", name).read_bytes()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
