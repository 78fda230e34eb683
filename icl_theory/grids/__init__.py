"""Findings on registered grids: trained models of many kinds, their weights edited, and statements read off the cells.

The files in `registered/` say what is trained, what is edited and what counts as for or against each statement; they
are committed before the first run on their seeds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
