"""Figures in a notebook, whatever its backend is; in a script they are made and not shown."""

import io
import sys

from matplotlib.figure import Figure


def show(figure: Figure) -> None:
    """Show a figure as the result of a notebook's cell. Outside of a notebook nothing is shown.

    Args:
        figure: as the functions of `icl_theory.figures` return it.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from icl_theory.lessons import show
        >>> show(Figure())
    """
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        return
    from IPython.display import Image, display

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    display(Image(buffer.getvalue(), width=int(96 * figure.get_figwidth()), alt="figure"))
