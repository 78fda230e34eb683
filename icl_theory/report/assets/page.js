"use strict";
// Filters by verdict, origin and section. The state stands in the address behind the #, so that a view can be kept and sent.
(() => {
  const kinds = ["verdict", "origin", "section"];
  const chosen = Object.fromEntries(kinds.map((kind) => [kind, new Set()]));
  const buttons = [...document.querySelectorAll("button[data-kind]")];
  const items = [...document.querySelectorAll("[data-verdict]")];
  const showAll = document.getElementById("show-all");
  const status = document.getElementById("shown-now");

  const fits = (item) => kinds.every((kind) => !chosen[kind].size || chosen[kind].has(item.dataset[kind]));

  function show() {
    for (const item of items) item.hidden = !fits(item);
    // A section with nothing on it has no heading.
    for (const section of document.querySelectorAll("tbody.section")) {
      section.hidden = ![...section.rows].some((row) => row.dataset.verdict && !row.hidden);
    }
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(chosen[button.dataset.kind].has(button.dataset.value)));
    }
    const articles = items.filter((item) => item.localName === "article");
    const shown = articles.filter((item) => !item.hidden).length;
    const all = shown === articles.length;
    status.textContent = all ? `${shown} statements shown` : `${shown} of ${articles.length} statements shown`;
    showAll.disabled = kinds.every((kind) => !chosen[kind].size);
  }

  function remember() {
    const parts = kinds.filter((kind) => chosen[kind].size).map((kind) => `${kind}=${[...chosen[kind]].join(",")}`);
    const bare = location.href.split("#")[0];
    history.replaceState(null, "", parts.length ? `${bare}#${parts.join("&")}` : bare);
  }

  function clear() {
    for (const kind of kinds) chosen[kind].clear();
  }

  function follow() {
    const hash = location.hash.slice(1);
    if (hash.includes("=")) {
      const wanted = new URLSearchParams(hash);
      const known = (kind) => buttons.filter((b) => b.dataset.kind === kind).map((b) => b.dataset.value);
      for (const kind of kinds) {
        chosen[kind] = new Set((wanted.get(kind) ?? "").split(",").filter((value) => known(kind).includes(value)));
      }
      show();
      return;
    }
    const target = hash && document.getElementById(hash);
    if (target && target.hidden) {
      clear();
      show();
      target.scrollIntoView();
    }
  }

  for (const button of buttons) {
    button.addEventListener("click", () => {
      const set = chosen[button.dataset.kind];
      if (!set.delete(button.dataset.value)) set.add(button.dataset.value);
      show();
      remember();
    });
  }
  showAll.addEventListener("click", () => {
    clear();
    show();
    remember();
    buttons[0]?.focus(); // the button that was used can now not be used
  });
  addEventListener("hashchange", follow);
  document.documentElement.classList.add("js");
  follow();
})();
