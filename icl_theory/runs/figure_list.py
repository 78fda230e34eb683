"""The figures: what makes their data, what draws them, and what is said below them. Importing this file is quick."""

from dataclasses import dataclass

from icl_theory.runs.figures_config import FigureName


@dataclass(frozen=True)
class PaperFigure:
    """A figure: what makes its data, what draws them, and what is said below it."""

    maker: str
    """Function of `runs.figure_records`, as module.function."""
    drawer: str
    """Function of `figures.paper`, likewise."""
    caption: str
    """With {seeds} where the number of models belongs."""
    of_grid: bool = False
    """Whether the data are those of the registered grid."""


_GRID = "Models of the registered grid, {seeds} seeds in every cell; bars are 1.96 standard errors over seeds. "
FIGURES: dict[FigureName, PaperFigure] = {
    "clipping_by_layer": PaperFigure(
        "of_grid.clipping_by_layer",
        "of_grid.clipping_by_layer",
        "Counterpart of Figure 1 of the paper. Change of the test error by clipping one module of one of three layers, "
        "20 demonstrations shown as in training, d = 5; converged models. " + _GRID,
        True,
    ),
    "clipping_by_shots": PaperFigure(
        "of_grid.clipping_by_shots",
        "of_grid.clipping_by_shots",
        "Counterpart of Figure 2 of the paper. Change of the test error by clipping W_V, W_K and W_Q of the first or "
        "of the last of three layers, against the demonstrations shown; trained at 20. Without demonstrations the "
        "prediction is 0 whatever the weights. " + _GRID,
        True,
    ),
    "conditions": PaperFigure(
        "of_grid.conditions",
        "of_grid.conditions",
        "Counterpart of Figure 3 of the paper. Condition numbers by layer, geometric means; converged models. " + _GRID,
        True,
    ),
    "algorithm_1": PaperFigure(
        "of_grid.algorithm_1",
        "of_grid.algorithm_1",
        "Counterpart of Figure 4 of the paper. Gain of Algorithm 1 on untouched prompts (the deeper of the two layers "
        "with the largest condition numbers, all of its attention clipped to the rank that validation prompts prefer), "
        "20 demonstrations. " + _GRID,
        True,
    ),
    "least_squares": PaperFigure(
        "of_models.least_squares",
        "of_models.least_squares",
        "Counterpart of Figure 5 of the paper. Left: risk against the number of demonstrations, linear attention "
        "trained for 800 steps at 20 of them; least squares is infinite at N = d - 1, d and d + 1, and three layers "
        "explode on few demonstrations, where their risk (up to 1e24) is not drawn. Right: risk at 20 "
        "demonstrations along training, every point a run of its own. d = 5, label noise 0.5, {seeds} seeds, bars are "
        "1.96 standard errors over seeds.",
    ),
    "deep_shallow": PaperFigure(
        "of_grid.deep_shallow",
        "of_grid.deep_shallow",
        "Finding P2, cell by cell: does clipping to rank 1 harm the last of three layers less than the first? Plus: "
        "the 95 % interval over seeds says so; minus: it says the reverse. 20 demonstrations. {seeds} seeds a cell.",
        True,
    ),
    "findings": PaperFigure(
        "of_grid.all_findings",
        "of_grid.findings",
        "Every finding on the registered grid: share of cells whose 95 % interval over {seeds} seeds is for it, "
        "against it, or neither.",
        True,
    ),
    "exact_gain": PaperFigure(
        "of_prediction.exact_gain",
        "of_grid.exact_gain",
        "When truncation can help: change of the exact population risk of one-layer models at the best rank below the "
        "full one (no search can gain more), by training and use; below 0 it helps. {seeds} seeds, bars are 1.96 "
        "standard errors over seeds.",
        True,
    ),
    "ladder": PaperFigure(
        "of_theory.sweep",
        "of_theory.ladder",
        "Bounds on the generalization gap against the rank of W_K, one layer trained for 400 steps; d = 5, N = 80, "
        "b = 20, loss clipped at 4, 2 task vectors, {seeds} seeds.",
    ),
    "readout": PaperFigure(
        "of_theory.sweep",
        "of_theory.readout",
        "The same sweep: truncating W_V lowers the bound on all of W, although neither the prediction nor its "
        "information about the demonstrations changes; truncating W_K or W_Q lowers both. {seeds} seeds.",
    ),
    "information_and_dimension": PaperFigure(
        "of_theory.information_and_dimension",
        "of_theory.information_and_dimension",
        "Information about N = 160 demonstrations, b = 40 shown, one layer trained for 400 steps; bars are 1.96 "
        "standard errors over task vectors, half as many as seeds ({seeds}).",
    ),
    "truncation_trap": PaperFigure(
        "of_theory.truncation_trap",
        "of_theory.truncation_trap",
        "Exact risk of the one-layer optimum for inputs with variances 4, 2, 1, 1/2, 1/4 (label noise 0.5, N = 20): "
        "the largest singular values belong to the smallest inputs, so that plain truncation keeps the wrong ones.",
    ),
    "theorem_2": PaperFigure(
        "of_theory.theorem_2",
        "of_theory.theorem_2",
        "Theorem 2 as printed at D = 1: once log h² spreads widely, the gap exceeds it (N = 5, b = 1, continuous loss "
        "in [0, 1]). {seeds} times 50000 runs; bars are 1.96 standard errors.",
    ),
    "noise_quantiles": PaperFigure(
        "of_theory.noise_quantiles",
        "of_theory.noise_quantiles",
        "Noise of the implicit gradient of a subset of b demonstrations, d = 2: squared Mahalanobis distances of 400 "
        "subsets against Gaussian quantiles. One set of N = 60 demonstrations.",
    ),
    "agreement": PaperFigure(
        "of_models.agreement",
        "of_models.agreement",
        "Trained models with three layers against the best fitting three steps of gradient descent and of "
        "GD++: root mean square difference of predictions, and cosine of their derivatives by the query. "
        "d = 5, {seeds} seeds, every point a run of its own; bars are 1.96 standard errors over seeds.",
    ),
    "task_rank": PaperFigure(
        "of_models.task_rank",
        "of_models.task_rank",
        "Tasks in 3 of d = 10 dimensions: singular values of W_KᵀW_Q of the first layer, and rise of the risk when it "
        "is truncated in all layers. Dashed: 1 %. {seeds} seeds, bars are 1.96 standard errors over seeds.",
    ),
}
"""By name; the order is that of the paper, then ours."""
