# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Lesson 6: write your own claim
#
# **What you need:** lesson 1. **What you will know:** how a statement becomes a check that can fail, and why every
# check needs controls.
#
# ## A statement
#
# One step of gradient descent of size $\eta$ from 0, on $b$ demonstrations $y = w \cdot x$ with independent inputs of
# mean 0, variance 1 and $E x_j^4 = 3$, has the mean squared error $d \, (1 - 2\eta + \eta^2 (1 + (d + 1)/b))$ over
# tasks $w \sim N(0, I)$.

# %%
import dataclasses

from icl_theory import Estimate, LinearRegression, StudentT, gradient_descent_weights, predict, verify
from icl_theory.claims import Claim, Control
from icl_theory.lessons import check_claim

D, B, STEP = 3, 20, 0.6


def cases(factory):
    """What the statement is tried on: one step written into weights."""
    return [factory.case("one step", gradient_descent_weights(D, step_size=STEP), task=LinearRegression(D), shots=B)]


def measured(case):
    """The left side: a mean over prompts, with its error bar."""
    prompts = case.task.sample(case.seed, batch=20_000, shots=B)
    return Estimate.from_samples((predict(case.model, prompts) - prompts.y_query) ** 2)


def formula(_case):
    """The right side."""
    return D * (1 - 2 * STEP + STEP**2 * (1 + (D + 1) / B))


# %% [markdown]
# ## A check that can fail
#
# *Controls* are the statement spoilt on purpose: a lost term, a wrong factor. If a control is not found false, the
# check could not have found the statement false either, and its HOLDS is worth nothing.

# %%
one_step = Claim(
    label="lesson_step",
    source="lesson 6",
    statement="One step of gradient descent has the risk $d (1 - 2 η + η² (1 + (d + 1)/b))$.",
    origin="new",
    relation="equal",
    measure=measured,
    predict=formula,
    explanation="The left side is a mean over prompts, the right side the formula.",
    controls=(
        Control("without the spread", predict=lambda case: D * (1 - STEP) ** 2),
        Control("a tenth of $η²$ too much", predict=lambda case: formula(case) + 0.1 * D * STEP**2),
    ),
    cases=cases,
)
report = verify([one_step])
[record] = report.records["claims"]
print(record["verdict"], "| controls caught:", sum(control["caught"] for control in record["controls"]), "of 2")
assert record["verdict"] == "HOLDS"

# %% [markdown]
# ## Outside its assumptions
#
# The formula took $E x_j^4 = 3$. Student's t inputs have more:


# %%
def heavy_cases(factory):
    task = LinearRegression(D, inputs=StudentT(5))
    return [factory.case("heavy tails", gradient_descent_weights(D, step_size=STEP), task=task, shots=B)]


heavy = dataclasses.replace(one_step, label="lesson_heavy", cases=heavy_cases)
[record] = verify([heavy]).records["claims"]
print(record["verdict"])
assert record["verdict"] == "FAILS"

# %% [markdown]
# ## Exercise
#
# 6.1 Repair `heavy` so that it HOLDS with both controls caught: put the fourth moment into the formula
# (`case.task.inputs.fourth_moment`; the term $d + 1$ is $d + m - 2$). `check_claim` runs it.

# %% tags=["exercise"]
answer = ...  # a Claim
# check_claim("6.1", answer)

# %%
assert not check_claim("6.1", heavy)
