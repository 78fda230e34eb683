# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Lesson 5: truncation, and how to read a bound-versus-rank plot
#
# **What you need:** lessons 3 and 4, singular values. **What you will know:** what truncation does to a model and to a
# bound, why a falling bound need not mean a falling gap, and which truncation the data ask for.
#
# ## The nearest matrix of rank r
#
# $W = \sum_i \sigma_i u_i v_i^T$ with $\sigma_1 \ge \sigma_2 \ge \ldots$. Keep the first $r$ terms: no matrix of rank
# $r$ is nearer, and what is lost is $\sqrt{\sigma_{r+1}^2 + \ldots}$.

# %%
import numpy as np

from icl_theory import (
    LinearRegression,
    bound_ladder,
    one_layer_optimum,
    population_risk,
    rank_sweep,
    support_dimension,
    truncate,
    truncate_weights,
)
from icl_theory.figures import bound_column
from icl_theory.lessons import check, question, show

W = np.random.default_rng(0).standard_normal((5, 5))
for r in range(6):
    cut = truncate(W, r)
    print(
        f"rank {r}: distance {np.linalg.norm(W - cut.matrix):.4f}  root of dropped squares "
        f"{np.sqrt((cut.dropped**2).sum()):.4f}"
    )

# %% [markdown]
# ## The staircase
#
# Truncating $W_V$ to rank $r$ makes the space of the noise smaller: $d_S = rD - r(r-1)/2$. A smaller space holds
# less information, so bounds on the information in *all* of $W$ fall with it.

# %%
D, right = 6, np.eye(6)
print([support_dimension(truncate(np.eye(D) + np.diag(np.arange(D)), r).matrix, right) for r in range(D + 1)])

# %% [markdown]
# ## The trap
#
# The prediction reads one row of $W$. The $W_V$ of the best one-layer model has rank one. Add rows that no prediction
# reads, and truncate:

# %%
task = LinearRegression(5, noise_std=0.5)
best, least = one_layer_optimum(task, shots=20)
value = np.array(best.value)
value[0, :5] = 0.3 * np.random.default_rng(1).standard_normal((5, 6)) * abs(value[0, 5, 5])
padded = best.replace(value=value)
options = {"demonstrations": 80, "shots": 20, "clip": 4.0, "samples": 512, "key": 1}
print("rank   gap                 all of W   readout")
for r in (6, 4, 2, 1):
    ladder = bound_ladder(truncate_weights(padded, layer=0, module="value", rank=r), task, **options)
    print(
        f"{r}      {ladder.gap.value:.3f} ± {ladder.gap.stderr:.3f}       {ladder.rungs['gaussian'].value:.3f}"
        f"      {ladder.rungs['readout'].value:.3f}"
    )

# %% [markdown]
# The bound on all of $W$ falls to less than half. The readout bound stays where it was, for the rows that were dropped
# are read by nobody, and the gap moves within about two standard errors. A plot of a bound against the rank says
# something about the gap only if the bound speaks about what the loss reads.
#
# ## Read the plot
#
# Lines: bounds, from the tightest up. Points with bars: the measured gap. Dotted: the trivial bound $c$; above it a
# bound says nothing. Here $W_K$ of the untouched optimum:

# %%
entries = rank_sweep(best, task, demonstrations=80, shots=20, clip=4.0, samples=256, modules=["key"], tasks=2)
figure = bound_column(entries, figsize=(4.5, 3.8))
show(figure)

# %% [markdown]
# ## Does it help?
#
# The optimum is the optimum: no truncation lowers its risk. It can only cost, and how much depends on what the data do
# with the direction dropped. Inputs of unequal size:

# %%
uneven = LinearRegression(3, np.diag([4.0, 1.0, 0.05]), noise_std=0.5)
model, least = one_layer_optimum(uneven, shots=20)
tokens = uneven.sample(5, batch=2000, shots=20).tokens()
data = {"inputs": np.swapaxes(tokens, 1, 2) @ tokens / 20, "queries": np.diag([4.0, 1.0, 0.05, 0.0])}
for r in (3, 2, 1):
    plain = truncate_weights(model, layer=0, module="query", rank=r)
    metric = truncate_weights(model, layer=0, module="query", rank=r, target="update", **data)
    risks = [population_risk(cut, uneven, shots=20).value for cut in (plain, metric)]
    print(f"rank {r}: risk {risks[0]:.4f} plainly, {risks[1]:.4f} in the metric of the data (optimum {least:.4f})")
    assert min(risks) >= least - 1e-9

# %% [markdown]
# Plain truncation keeps the largest singular value of the *matrix*, which here belongs to the smallest inputs. Measured
# in the metric of the data, the same rank costs much less. `search_clipping_rate` and `icl-theory search` look for a
# truncation that helps, and report it on prompts that had no part in the choice.
#
# ## Exercises

# %%
for number in ("5.1", "5.2", "5.3"):
    print(number, question(number), "\n")

# %% tags=["exercise"]
answer_1 = ...
# check("5.1", answer_1)
answer_2 = ...
# check("5.2", answer_2)
answer_3 = ...
# check("5.3", answer_3)

# %%
assert not check("5.1", 3.0)
