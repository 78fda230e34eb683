"""Noisy runs of two layers in the plane, and slow twins of what is computed along them."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import multivariate_normal

from icl_theory import (
    LinearRegression,
)
from icl_theory.core.symmetric import symmetric_coordinates
from icl_theory.information.covariance_roots import covariance_root
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.setting import Setting
from icl_theory.information.ladder.token_law import gaussian_moment_covariance

TASK, W = LinearRegression(2, noise_std=0.5), np.array([0.7, -1.1])


N, SHOTS = 24, 6


def prepared(model, floor=0.0, runs=6):
    setting = Setting(model, TASK, W, N, SHOTS, floor)
    inner = np.eye(setting.basis.shape[1])
    reference = symmetric_coordinates(inner), covariance_root(gaussian_moment_covariance(inner) / SHOTS)
    return setting, simulate(setting, draw(setting, np.random.default_rng(1), runs)), reference


def conditioned(setting, runs, reference):
    """KL of every run and layer to the prior's conditional, from the joint covariance written out."""
    mean, root = reference
    width, layers = len(mean), len(runs.layers)
    gamma = SHOTS * root @ root.T
    joint = np.kron(np.ones((layers, layers)), gamma / N) + np.kron(np.eye(layers), (1 / SHOTS - 1 / N) * gamma)
    values = np.zeros((layers, len(runs.accumulated)))
    for run in range(values.shape[1]):
        observe, seen = np.zeros((0, layers * width)), np.zeros(0)
        extra = np.zeros(0)
        for index, layer in enumerate(runs.layers):
            p = layer.maps[run if len(layer.maps) > 1 else 0]
            here = np.zeros((len(p), layers * width))
            here[:, index * width : (index + 1) * width] = p
            before = observe @ joint @ observe.T + np.diag(extra)
            cross = here @ joint @ observe.T
            gain = cross @ np.linalg.inv(before) if len(seen) else np.zeros((len(p), 0))
            expected = p @ mean + gain @ (seen - observe @ np.tile(mean, layers))
            prior = here @ joint @ here.T + setting.floor * np.eye(len(p)) - gain @ cross.T
            noise = runs.draws.noise_root[run]
            covariance = p @ noise @ noise.T @ p.T + setting.floor * np.eye(len(p))
            offset = p @ runs.draws.moments[run] - expected
            inverse = np.linalg.inv(prior)
            log_ratio = np.linalg.slogdet(prior)[1] - np.linalg.slogdet(covariance)[1]
            excess = np.trace(inverse @ covariance) + offset @ inverse @ offset - len(p)
            moving = any(len(x.maps) > 1 and not x.cancels for x in runs.layers[: index + 1])
            values[index, run] = 0.5 * (log_ratio + (excess if moving else 0.0))
            observe, seen = np.vstack([observe, here]), np.r_[seen, layer.outputs[run]]
            extra = np.r_[extra, np.full(len(p), setting.floor)]
    return values.sum(axis=0)


def gaussian_table(count, seed=2):
    """w = h + n in two dimensions: outputs, log p(w_i | h_j) up to a constant, and the log of the true marginal."""
    rng = np.random.default_rng(seed)
    inputs = 2 * rng.standard_normal((count, 2))
    outputs = inputs + rng.standard_normal((count, 2))
    log_p = -0.5 * ((outputs[:, None] - inputs[None]) ** 2).sum(-1)
    return TableChannel(log_p), -0.5 * (outputs**2).sum(-1) / 5 - math.log(5)


@dataclass
class TableChannel:
    """A channel whose densities are written down."""

    table: np.ndarray

    @property
    def samples(self):
        return len(self.table)

    def log_density(self, rows):
        return self.table[rows].copy()


def slow_terms(model, draws, turn):
    """Every per-run term of every layer from vectors in R^{D²} and an explicit basis of the support."""
    spread = gaussian_moment_covariance(TASK.token_covariance(W)) / SHOTS
    rows, columns = np.triu_indices(3)
    results = []
    for run, tokens in enumerate(draws.tokens):
        m, layers = np.eye(3), []
        for layer, (value, key, query) in enumerate(zip(model.value, model.key, model.query, strict=True)):
            a, b = value @ m, m.T @ key.T @ query @ m
            images = []
            for i, j in zip(rows, columns, strict=True):
                unit = np.zeros((3, 3))
                unit[i, j] = unit[j, i] = 1.0 if i == j else 1 / math.sqrt(2)
                images.append((a @ unit @ b).ravel())
            images = np.array(images).T
            left, values, _ = np.linalg.svd(images, full_matrices=False)
            basis = left[:, values > 1e-9 * values[0]]
            gradients = restricted([a @ np.outer(h, h) @ b for h in tokens], basis)
            g = gradients.mean(axis=0)
            c = (N - SHOTS) / (SHOTS * (N - 1)) * (gradients - g).T @ (gradients - g) / N
            mean = restricted(a @ TASK.token_covariance(W) @ b, basis)[0]
            prior = basis.T @ images @ spread @ images.T @ basis
            inverse = np.linalg.inv(prior)
            log_ratio = 0.5 * (np.linalg.slogdet(prior)[1] - np.linalg.slogdet(c)[1])
            excess = 0.5 * (np.trace(inverse @ c) + (g - mean) @ inverse @ (g - mean) - len(g))
            update = value @ m @ (tokens.T @ tokens / N) @ m.T @ key.T @ query
            layers.append(
                {
                    "divergence": log_ratio + excess,
                    "log_volume": np.linalg.slogdet(c)[1],
                    "isotropic": ((g - mean) ** 2).sum() + np.trace(c),
                    "isotropic_zero": (g**2).sum() + np.trace(c),
                    "theorem_2_repaired": (update**2).sum() * (m**2).sum() + np.trace(c),
                    "log_ratio": log_ratio,
                }
            )
            observation = np.zeros((3, 3))
            observation[rows, columns] = observation[columns, rows] = draws.observations[run, layer] / np.where(
                rows == columns, 1, math.sqrt(2)
            )
            m = m + a @ turn @ observation @ turn.T @ b  # observations are written in the basis of the tokens' subspace
        results.append(layers)
    return results


def exchanged_by_hand(setting, runs, i, j):
    """log p(w_i | h_1 of run i, others of run j) from the definition of mean and covariance."""
    tokens = np.concatenate([runs.draws.inner[i, :1], runs.draws.inner[j, 1:]])
    features = symmetric_coordinates(tokens[:, :, None] * tokens[:, None, :])
    n, b = setting.demonstrations, setting.shots
    covariance = (n - b) / (b * (n - 1)) * np.cov(features.T, bias=True)
    if all(layer.cancels for layer in runs.layers):
        return sum(multivariate_normal(features.mean(0), covariance).logpdf(x) for x in runs.draws.observations[i])
    maps = runs.layers[0].maps[0]
    covariance = maps @ covariance @ maps.T + setting.floor * np.eye(len(maps))
    return multivariate_normal(maps @ features.mean(0), covariance).logpdf(runs.layers[0].outputs[i])


def restricted(vectors, basis):
    return np.asarray(vectors).reshape(-1, 9) @ basis
