"use strict";
// Reads the controls, computes once for every picture of the screen, draws.

const page = (() => {
  const trained = JSON.parse(document.getElementById("trained").textContent).models;
  const inputs = {};
  let waiting = false;

  function read() {
    return Object.fromEntries(
      Object.entries(CONTROLS).map(([name, control]) => [name, control.words ? inputs[name].value : Number(inputs[name].value)]),
    );
  }

  function refresh() {
    waiting = false;
    const found = compute(read(), trained);
    inputs.layer.max = found.state.layers;
    for (const name of ["layer", "total"]) inputs[name].value = found.state[name];
    for (const [name, control] of Object.entries(CONTROLS)) {
      if (control.range) document.getElementById(`${name}-value`).textContent = found.state[name];
    }
    inputs.eta.title = found.state.model === "trained" ? "Step size of gradient descent and GD++" : "Step size";
    view.draw(found);
  }

  function ask() {
    view.shown.step = null;
    if (!waiting) {
      waiting = true;
      requestAnimationFrame(refresh);
    }
  }

  /** One layer after the other; all at once for those who do not want motion. */
  function play() {
    const layers = compute(read(), trained).state.layers;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return ask();
    let step = 0;
    const next = () => {
      view.shown.step = step;
      refresh();
      step += 1;
      if (step <= layers) setTimeout(next, 600);
    };
    return next();
  }

  function start() {
    for (const [name, control] of Object.entries(CONTROLS)) {
      inputs[name] = document.getElementById(name);
      inputs[name].value = control.start;
      inputs[name].addEventListener("input", ask);
    }
    document.getElementById("play").addEventListener("click", play);
    document.getElementById("another").addEventListener("click", () => {
      inputs.prompt.value = (Number(inputs.prompt.value) % 999) + 1;
      ask();
    });
    document.getElementById("again").addEventListener("click", () => {
      for (const [name, control] of Object.entries(CONTROLS)) inputs[name].value = control.start;
      ask();
    });
    refresh();
  }

  start();
  return { trained };
})();
