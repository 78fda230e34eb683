# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Lesson 2: depth is a trajectory
#
# **What you need:** lesson 1. **What you will know:** what several layers do, what GD++ is, and how one sees that a
# model that was only *trained to predict* has become gradient descent.
#
# ## Layers add up
#
# Layer $t$ multiplies every token by $I + \Delta W_t$, where $\Delta W_t$ is made from the tokens as they arrive at
# that layer. After $t$ layers the query is $(I + W_t) h_q$ with
#
# $$W_t = W_{t-1} + G_t, \qquad G_t = \Delta W_t (I + W_{t-1}), \qquad W_0 = 0 .$$
#
# $W_0, W_1, \ldots, W_L$ is the *implicit trajectory*; $G_t$ is its step, the implicit gradient.

# %%
import numpy as np

from icl_theory import (
    LinearRegression,
    descent_paths,
    gd_plus_plus,
    gradient_descent,
    gradient_descent_agreement,
    gradient_descent_weights,
    implicit_trajectory,
    train,
)
from icl_theory.figures import descent_contour, loss_band
from icl_theory.lessons import check, question, show

task = LinearRegression(2, np.diag([1.5, 0.5]))
prompts = task.sample(1, batch=200, shots=12)
three = gradient_descent_weights(2, layers=3, step_size=0.4)
road = implicit_trajectory(three, prompts.tokens()[0])
assert np.allclose(np.diff(road.accumulated, axis=0), road.gradient)
for t in range(4):
    print(f"after {t} layers: p = {-road.accumulated[t][-1, :-1]}")
print("three explicit steps:", gradient_descent(prompts.x[0], prompts.y[0], steps=3, step_size=0.4)[-1])

# %% [markdown]
# Written into the weights like this, three layers are three steps of gradient descent, exactly.

# %%
paths = descent_paths(three, prompts, step_size=0.4)
difference = np.abs(paths.weights["model"] - paths.weights["gradient descent"]).max()
print("largest difference over 200 prompts:", difference)
assert difference < 1e-12

# %% [markdown]
# ## Which steps? GD and GD++
#
# Gradient descent with one step size is slow where the inputs are long in one direction and short in another: the step
# must be small enough for the long one. The input places of the tokens are free to change as well. **GD++** uses
# them: with every step all inputs, the query's too, are multiplied by $I - \gamma S_{xx}$, which shortens the long
# directions most.

# %%
x, y = prompts.x[0], prompts.y[0]
plain = gradient_descent(x, y, steps=4, step_size=0.5)
better = gd_plus_plus(x, y, steps=4, step_size=0.9, input_step=0.25)
one = {"gradient descent": plain, "GD++": better}
figure = descent_contour(one, x, y, figsize=(4.5, 3.8))
show(figure)

# %% [markdown]
# ## Train a model and watch it become gradient descent
#
# The model starts from small random matrices and only learns to predict $y_q$. Nobody mentions gradient descent.

# %%
task = LinearRegression(2)
prompts = task.sample(2, batch=200, shots=12)
stages = {steps: train(task, 0, layers=2, shots=12, steps=steps, seeds=2).models for steps in (10, 300, 3000)}
for steps, models in stages.items():
    found = gradient_descent_agreement(models, task, shots=12, prompts=256, scheme="gd++").final
    print(f"{steps:5} steps of training: cosine with the weight of GD++ {found.sensitivity_cosine}")
trained = gradient_descent_agreement(stages[3000], task, shots=12, prompts=256, scheme="gd++")
assert trained.final.sensitivity_cosine.value > 0.99

# %% [markdown]
# The fitted step sizes are those of the model's own descent. Look at one prompt, then at many: a single prompt can
# mislead, its loss may rise at one layer while the median falls.

# %%
step, inputs = float(trained.step_size[0]), float(trained.input_step[0])
model = stages[3000].member(0)
paths = descent_paths(model, prompts, step_size=step, input_step=inputs)
print(f"fitted: step size {step:.3f}, input step {inputs:.3f}")
figure = descent_contour(
    {name: path[3] for name, path in paths.weights.items()}, prompts.x[3], prompts.y[3], figsize=(4.5, 3.8)
)
show(figure)

# %%
figure = loss_band(paths.losses(), figsize=(4.5, 3.2))
losses = paths.losses()["model"]
print(f"median loss after 0, 1, 2 layers: {np.median(losses, axis=0)}")
for steps, models in stages.items():
    own = descent_paths(models.member(0), prompts, step_size=step).losses()["model"]
    rises = (np.diff(own, axis=1) > 0).any(axis=1).mean()
    print(f"{steps:5} steps of training: the loss rises at some layer in {rises:.1%} of the prompts")
show(figure)

# %% [markdown]
# The claims `trained_descends`, `trained_gd_plus_plus` and their relatives judge this over twelve seeds, with controls:
# `icl-theory explain trained_gd_plus_plus`.
#
# ## Exercises

# %%
for number in ("2.1", "2.2", "2.3"):
    print(number, question(number), "\n")

# %% tags=["exercise"]
answer_1 = ...
# check("2.1", answer_1)
answer_2 = ...
# check("2.2", answer_2)
answer_3 = ...
# check("2.3", answer_3)

# %%
assert not check("2.2", 4.0)
