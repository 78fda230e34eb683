# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Lesson 3: where the noise comes from
#
# **What you need:** lesson 2, variance. **What you will know:** why the implicit gradient is noisy, what its covariance
# is, and why that covariance never has full rank, against what a printed theorem assumes.
#
# ## Some of the demonstrations
#
# Show $b$ of $N$ demonstrations, drawn without replacement. The implicit gradient $G$ is a mean over demonstrations, so
# the one that the model makes is the mean over the $b$ shown: on average the same, with a spread.
#
# Start with plain numbers $g_1, \ldots, g_N$. All subsets can be listed:

# %%
import itertools

import numpy as np

from icl_theory import LinearRegression, Model, gradient_noise, normality_audit, support_dimension
from icl_theory.lessons import check, question

numbers, b = np.array([1.0, 2.0, 4.0, 9.0, 11.0]), 2
means = [np.mean(chosen) for chosen in itertools.combinations(numbers, b)]
N = len(numbers)
formula = (N - b) / (b * (N - 1)) * numbers.var()
print("mean over all pairs:", np.mean(means), "  mean of all numbers:", numbers.mean())
print("variance over all pairs:", np.var(means), "  (N-b)/(b(N-1)) times the variance:", formula)
assert np.isclose(np.var(means), formula)

# %% [markdown]
# ## The same for matrices
#
# Every demonstration has a gradient of its own, $g_i = W_V h_i (W_K h_i)^T W_Q$ in the first layer. As a vector of
# $D^2$ entries it has a covariance over subsets,
#
# $$C = \frac{N-b}{b(N-1)} \Big[ \frac1N \sum_i \mathrm{vec}\, g_i \, \mathrm{vec}\, g_i^T
# - \mathrm{vec}\, G \, \mathrm{vec}\, G^T \Big].$$
#
# Against all subsets again, this time of the library's `gradient_noise`:

# %%
task, D = LinearRegression(2, noise_std=1.0), 3
model = Model.create(*(np.eye(D) + 0.3 * np.random.default_rng(0).standard_normal((3, D, D))))
tokens = task.sample(2, batch=1, shots=6).tokens()[0]
v, k, q = model.value[0], model.key[0], model.query[0]
each = np.array([(np.outer(v @ h, k @ h) @ q).ravel() for h in tokens])
subsets = np.array([each[list(chosen)].mean(axis=0) for chosen in itertools.combinations(range(6), 3)])
listed = np.cov(subsets.T, bias=True)
noise = gradient_noise(model, tokens, layer=0, shots=3)
print("trace over all 20 subsets:", np.trace(listed), "  of gradient_noise:", noise.trace)
assert np.isclose(np.trace(listed), noise.trace)

# %% [markdown]
# ## Never positive definite
#
# Theorem 2 of the paper multiplies by $C^{-1}$. Look at the eigenvalues:

# %%
many = task.sample(3, batch=1, shots=2000).tokens()[0]
gradients = np.array([(np.outer(v @ h, k @ h) @ q).ravel() for h in many])
values = np.linalg.eigvalsh(np.cov(gradients.T))[::-1]
print("eigenvalues from 2000 demonstrations, relative to the largest:")
print("  ".join(f"{value / values[0]:.0e}" for value in values))
dimension = support_dimension(v, k.T @ q)
print("directions with noise:", dimension, "of", D * D)
assert (values / values[0] > 1e-12).sum() == dimension == 6

# %% [markdown]
# Three are zero however many demonstrations there are. The reason is in one line: $G = W_V S W_K^T W_Q$ is a
# function of $S$, and $S$ is **symmetric**. A symmetric $D \times D$ matrix has $D(D+1)/2$ free numbers, 6 for
# $D = 3$, so the gradients never leave a space of that dimension, $d_S$. The other $D(D-1)/2$ directions carry no
# noise, for every model, and the inverse does not exist for any $D \ge 2$.
#
# A second limit comes from counting: $N$ gradients with their mean taken off have rank $N - 1$ at most.

# %%
few = gradient_noise(model, tokens[:4], layer=0, shots=2)
print("four demonstrations: rank", few.rank, "of", D * D)
assert few.rank == 3

# %% [markdown]
# ## Is it Gaussian?
#
# The paper assumes Gaussian noise. The mean of a few of few numbers is not; how far it is from it can be measured, and
# a simulated truly Gaussian sample of the same size says how large the measure is by chance.

# %%
sixty = task.sample(5, batch=1, shots=60).tokens()[0]
for record in normality_audit(model, sixty, shots=(1, 5, 20), samples=400):
    print(f"b = {record.shots}: distance {record.distance}")

# %% [markdown]
# ## Exercises

# %%
for number in ("3.1", "3.2", "3.3"):
    print(number, question(number), "\n")


# %% tags=["exercise"]
def answer_1(g, b): ...


# check("3.1", answer_1)
answer_2 = ...
# check("3.2", answer_2)
answer_3 = ...
# check("3.3", answer_3)

# %%
assert not check("3.2", 36)
