"use strict";
// Everything that the page shows, as a function of the positions of its controls.

const BAND = 64;
/** Prompts behind the band of losses and the risk of several layers. */

/** The controls: what each may be; [from, to, step] of a slider or the words of a choice; the first value shown. */
const CONTROLS = {
  model: { words: ["constructed", "trained"], start: "trained" },
  layers: { range: [1, 4, 1], start: 3 },
  eta: { range: [0, 2, 0.05], start: 0.4 },
  gamma: { range: [0, 0.6, 0.02], start: 0.2 },
  shots: { range: [2, 40, 1], start: 12 },
  total: { range: [3, 200, 1], start: 80 },
  noise: { range: [0.05, 1, 0.05], start: 0.2 },
  spread: { range: [0.1, 2, 0.1], start: 1 },
  module: { words: ["value", "key", "query"], start: "key" },
  layer: { range: [1, 4, 1], start: 1 },
  rank: { range: [0, 3, 1], start: 3 },
  prompt: { range: [1, 999, 1], start: 32 },
};
const CLIP = 4;

function quantile(sorted, share) {
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (place - low) * (sorted[high] - sorted[low]);
}

/** Controls that depend on others, brought into their range. */
function consistent(given) {
  const state = { ...given };
  state.layer = Math.min(state.layer, state.layers);
  state.total = Math.max(state.total, state.shots + 1);
  return state;
}

const kept = { key: "", found: null };

/** The prompts of a state and their second moments; those of the last state are kept, for most controls leave them. */
function drawn(state) {
  const key = [state.prompt, state.shots, state.noise, state.spread].join();
  if (kept.key !== key) {
    const prompts = Array.from({ length: BAND }, (_, number) => descent.prompt(state, number));
    kept.found = { prompts, moments: prompts.map(({ tokens }) => descent.moment(tokens)) };
    kept.key = key;
  }
  return kept.found;
}

function compute(given, trained) {
  const state = consistent(given);
  const whole = state.model === "trained" ? trained[state.layers] : descent.constructed(state.layers, state.eta);
  const at = (rank) => descent.truncated(whole, state.layer - 1, state.module, rank);
  const layers = at(state.rank);
  const { prompts, moments } = drawn(state);
  const roads = moments.map((second) => ({
    model: descent.implied(layers, second),
    descent: descent.gradientDescent(second, state.eta, state.layers),
    plusPlus: descent.plusPlus(second, state.eta, state.gamma, state.layers),
  }));
  const bands = {};
  for (const name of ["model", "descent", "plusPlus"]) {
    bands[name] = roads[0][name].map((_, t) => {
      const losses = roads.map((road, i) => descent.loss(moments[i], road[name][t])).sort((a, b) => a - b);
      return [0.1, 0.5, 0.9].map((share) => quantile(losses, share));
    });
  }
  return { state, weights: layers, prompts, moment: moments[0], paths: roads[0], bands,
    ranks: [0, 1, 2, 3].map((rank) => ofRank(at(rank), state, moments, prompts)) };
}

/** What follows from one rank: the truncated matrix, d_S by layer, the bounds on the gap, the risk over tasks. */
function ofRank(layers, state, moments, prompts) {
  const support = layers.map(bounds.supportOf);
  const all = support.reduce((sum, dimension) => sum + dimension, 0);
  const readout = state.layers === 1 ? bounds.readoutOf(layers[0]) : all;
  const mean = () =>
    moments.reduce((sum, second, i) => {
      const path = descent.implied(layers, second);
      return sum + descent.risk(state, path[path.length - 1], prompts[i].weight);
    }, 0) / moments.length;
  return {
    support,
    matrix: layers[state.layer - 1][state.module],
    weights: bounds.bound(bounds.observed(all, state.total, state.shots), state.total, CLIP),
    readout: bounds.bound(bounds.observed(readout, state.total, state.shots), state.total, CLIP),
    wishart: bounds.bound(bounds.wishart(state.shots, 3), 1, CLIP),
    risk: state.layers === 1 ? bounds.exactRisk(layers[0], state) : mean(),
  };
}
