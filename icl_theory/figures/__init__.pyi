from .column import bound_column as bound_column
from .column import column_figures as column_figures
from .descent import descent_animation as descent_animation
from .descent import descent_contour as descent_contour
from .descent import loss_band as loss_band
from .search import search_gains as search_gains
from .style import save_figure as save_figure
from .sweep import sweep_figures as sweep_figures
