# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Lesson 4: from information to a bound
#
# **What you need:** lesson 3, logarithms of probabilities. **What you will know:** how a bound on the generalization
# gap follows from information, which steps lose how much, and how a printed theorem breaks and is repaired.
#
# ## The gap
#
# Fix one task $w$. A model reads $N$ demonstrations and arrives at weights $W$. Its loss on those demonstrations is
# lower than on fresh ones of the same task: the difference of the means is the *gap*. If $W$ knows little about the
# demonstrations, the gap is small. For a loss in $[0, c]$
#
# $$\text{gap} \;\le\; \sqrt{\frac{2 R^2 \, I(W; H_s)}{N}}, \qquad R = \frac c2 .$$
#
# $I$ is the mutual information in nats: how much $W$ says about the demonstrations $H_s$.
#
# ## A channel that can be computed
#
# $W = G + $ noise, both Gaussian numbers: $I = \frac12 \log(1 + \text{signal}/\text{noise})$. Without noise it is
# infinite, and the bound says nothing. That is why the noise of lesson 3 matters.

# %%
import numpy as np

from icl_theory import LinearRegression, bound_ladder, forward_pass_bounds, train
from icl_theory.lessons import check, question

signal, N, c = 3.0, 80, 4.0
for noise in (1.0, 0.1, 0.001):
    information = 0.5 * np.log(1 + signal / noise)
    print(f"noise {noise}: {information:.3f} nats, bound {np.sqrt(2 * (c / 2) ** 2 * information / N):.3f}")

# %% [markdown]
# ## The ladder
#
# For a whole model $I$ is bounded from above in steps, each simpler than the one before, and each loses something.
# `bound_ladder` computes all of them for one task, with the measured gap.

# %%
task = LinearRegression(5, noise_std=0.5)
model = train(task, 0, layers=1, shots=20, steps=300, seeds=1).models.member(0)
ladder = bound_ladder(model, task, demonstrations=N, shots=20, clip=c, samples=1024, key=1)
print("measured gap:", ladder.gap)
for name, rung in ladder.rungs.items():
    print(f"{name:20} {rung.value:8.3f}   times the gap: {rung.value / ladder.gap.value:6.1f}")
finite = [rung.value for rung in ladder.rungs.values() if np.isfinite(rung.value)]
assert min(finite) > ladder.gap.value

# %% [markdown]
# * **readout**: the loss reads one row of $W$ only, so only what that row says counts.
# * **mutual_information**: all of $W$, estimated from above.
# * **gaussian**: $W$ compared with the best Gaussian, in closed form.
# * **isotropic**: with a ball-shaped Gaussian, which fits the narrow space of the noise badly.
# * **theorem_2_printed**: needs the inverse of a matrix that has none (lesson 3). It is infinite.
#
# ## How the printed theorem breaks
#
# Its proof compares $W$ with a Gaussian of full dimension. The noise lives in a space of $d_S < D^2$ dimensions, and a
# density with respect to the whole space does not exist. The repair compares inside the space, where it is finite:

# %%
printed, repaired = ladder.rungs["theorem_2_printed"], ladder.rungs["theorem_2_repaired"]
print("printed:", printed)
print("repaired:", repaired)
assert np.isinf(printed.value)
assert np.isfinite(repaired.value)

# %% [markdown]
# ## Without any noise
#
# A forward pass has no noise at all: $W$ is a function of $S$. Still a single demonstration is hidden among the $N - 1$
# others, and how much $S$ says of *one* of them is finite. For Gaussian tokens $S$ has a Wishart law and
# $I(S; h_1)$ is a difference of two entropies in closed form. This bound needs no assumption about noise.

# %%
found = forward_pass_bounds(model, task, demonstrations=20, clip=c, samples=4096)
print("gap of the forward pass:", found.gap)
for name, rung in found.rungs.items():
    print(f"{name:18} {rung}")
assert min(rung.value for rung in found.rungs.values()) > found.gap.value

# %% [markdown]
# ## Exercises

# %%
for number in ("4.1", "4.2", "4.3"):
    print(number, question(number), "\n")


# %% tags=["exercise"]
def answer_1(information, c, n): ...


# check("4.1", answer_1)
answer_2 = ...
# check("4.2", answer_2)
answer_3 = ...
# check("4.3", answer_3)

# %%
assert not check("4.2", 1.0)
