# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Lesson 1: one attention layer is one update
#
# **What you need:** vectors, matrices, sums. No knowledge of transformers.
# **What you will know:** why a layer of linear attention can take a step of gradient descent on numbers that it is
# only shown, without any of its own weights being changed.
#
# ## The task
#
# A line is hidden: $y = w \cdot x$ with a vector $w$ that nobody tells us. We see $N$ *demonstrations*
# $(x_1, y_1), \ldots, (x_N, y_N)$ and a *query* $x_q$, and shall say $y_q$. A new $w$ is drawn for every *prompt*.

# %%
import numpy as np

from icl_theory import (
    LinearRegression,
    Model,
    descent_paths,
    forward,
    gradient_descent,
    gradient_descent_weights,
    implicit_trajectory,
    predict,
)
from icl_theory.figures import descent_contour
from icl_theory.lessons import check, question, show

task = LinearRegression(2)
prompt = task.sample(4, batch=1, shots=8)
x, y = prompt.x[0], prompt.y[0]
for inputs, label in zip(x[:3], y[:3], strict=True):
    print(f"x = ({inputs[0]:+.2f}, {inputs[1]:+.2f})   y = {label:+.2f}")
print(f"query: x = ({prompt.x_query[0, 0]:+.2f}, {prompt.x_query[0, 1]:+.2f})   y = ?")

# %% [markdown]
# ## The step, by hand
#
# A guess $w$ has the loss $L(w) = \frac{1}{2N} \sum_i (w \cdot x_i - y_i)^2$. Its gradient is
# $\frac1N \sum_i (w \cdot x_i - y_i)\, x_i$. From $w_0 = 0$ a step of size $\eta$ against the gradient leads to
#
# $$w_1 = \eta \, \frac1N \sum_i y_i x_i .$$
#
# So the prediction after one step is $\hat y = w_1 \cdot x_q = \eta \frac1N \sum_i y_i \, (x_i \cdot x_q)$: every
# demonstration votes with its label, the more the closer its input points in the direction of the query.

# %%
eta = 0.5
by_hand = eta * np.mean(y[:, None] * x, axis=0)
by_function = gradient_descent(x, y, steps=1, step_size=eta)[1]
print("w_1 by hand:    ", by_hand)
print("w_1 by function:", by_function)
assert np.allclose(by_hand, by_function)

# %% [markdown]
# ## The same votes in a layer of attention
#
# Put each demonstration into one vector, a *token* $h_i = (x_i, y_i)$, and the query into $h_q = (x_q, 0)$: the last
# place is empty. A layer of linear attention with matrices $W_V, W_K, W_Q$ changes the query's token to
#
# $$h_q \;\leftarrow\; h_q + \frac1N \sum_i W_V h_i \,\big( (W_K h_i) \cdot (W_Q h_q) \big).$$
#
# The bracket is a number: how much token $i$ counts for the query. Choose $W_K = W_Q = \mathrm{diag}(1, \ldots, 1, 0)$:
# they forget the label, so the number is $x_i \cdot x_q$. Choose $W_V = \mathrm{diag}(0, \ldots, 0, -\eta)$: it keeps
# the label alone. Then the last place of the query's token is $-\eta \frac1N \sum_i y_i (x_i \cdot x_q)$, and with the
# *readout* "minus" (the prediction is minus the last place) the layer predicts what the step predicts.

# %%
layer = gradient_descent_weights(2, step_size=eta)
print(layer.value[0], "= W_V")
print(layer.key[0], "= W_K = W_Q")
tokens, query = prompt.tokens()[0], np.append(prompt.x_query[0], 0.0)
print("the query's token after the layer:", forward(layer, tokens, query))
print("prediction of the layer:", predict(layer, prompt)[0], "  of the step:", by_hand @ prompt.x_query[0])
assert np.allclose(predict(layer, prompt)[0], by_hand @ prompt.x_query[0])

# %% [markdown]
# ## Why: attention is a matrix made on the spot
#
# The query stands on the right in every term. Take it out of the sum:
#
# $$\frac1N \sum_i W_V h_i (W_K h_i)^T W_Q \; h_q = \underbrace{W_V \, S \, W_K^T W_Q}_{\Delta W} \; h_q,
# \qquad S = \frac1N \sum_i h_i h_i^T .$$
#
# The layer multiplies the query by $I + \Delta W$. The matrix $\Delta W$ is not stored anywhere: it is made from the
# demonstrations while they are read. This is the *implicit* update. The prediction is $\hat y = p \cdot x_q$ with the
# **implied weight** $p$, minus the last row of $\Delta W$ without its last entry; for our matrices $p = w_1$.

# %%
update = implicit_trajectory(layer, tokens).delta[0]
moment = tokens.T @ tokens / len(tokens)
assert np.allclose(update, layer.value[0] @ moment @ layer.key[0].T @ layer.query[0])
print("implied weight p:", -update[-1, :-1], "  w_1:", by_hand)
assert np.allclose(-update[-1, :-1], by_hand)

# %% [markdown]
# The picture shows the loss as contours: the step starts at 0, and the cross is where the loss is least.

# %%
paths = descent_paths(layer, prompt, step_size=eta)
figure = descent_contour({name: path[0] for name, path in paths.weights.items()}, x, y, figsize=(4.5, 3.8))
show(figure)

# %% [markdown]
# Any other matrices give another update. That is what training is free to choose, and lesson 2 shows what it chooses.

# %%
rng = np.random.default_rng(1)
other = Model.create(*rng.standard_normal((3, 3, 3)))
print("p of random matrices:", -implicit_trajectory(other, tokens).delta[0][-1, :-1])

# %% [markdown]
# ## Exercises
#
# Replace `...` by your answer and call `check`. It says whether it is right, and knows some mistakes.

# %%
for number in ("1.1", "1.2", "1.3"):
    print(number, question(number), "\n")

# %% tags=["exercise"]
answer_1 = ...  # a number
# check("1.1", answer_1)


def answer_2(eta): ...  # a matrix of shape (2, 2)


# check("1.2", answer_2)


def answer_3(value, key, query, s): ...  # an array of shape (d_x,)


# check("1.3", answer_3)

# %% [markdown]
# A wrong answer is told from a right one:

# %%
assert not check("1.1", 10.0)
