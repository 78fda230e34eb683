"""The lessons on implicit gradient descent: where they are, what they are turned into, and their exercises."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
