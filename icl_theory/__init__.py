"""Checks the theory of in-context learning numerically and symbolically.

The table of contents is `__init__.pyi`: every public name and the module it lives in. Names are loaded on first use, so
that `icl-theory --help` stays fast and importing the package changes no setting of jax.
"""

import lazy_loader

from icl_theory.core import version

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = version.VERSION
