"""Statements, what each rests on, and how it is checked: one folder a subject, the machinery in `engine`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
