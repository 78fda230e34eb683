"""Task distributions: what prompts are made of, and what is known of them in closed form."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
