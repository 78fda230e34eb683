"use strict";
// Filters by verdict, origin and section, and a search for words. The state stands in the address behind the #, so that a
// view can be kept and sent.
(() => {
  const kinds = ["verdict", "origin", "section"];
  const chosen = Object.fromEntries(kinds.map((kind) => [kind, new Set()]));
  const buttons = [...document.querySelectorAll("button[data-kind]")];
  const items = [...document.querySelectorAll("[data-verdict]")];
  const showAll = document.getElementById("show-all");
  const status = document.getElementById("shown-now");

  const search = document.getElementById("words");

  // What a statement says, in its row of the ledger and in its own sheet; both are found by the words of both.
  const texts = new Map();
  for (const item of items) {
    const label = item.id || item.querySelector("th a").hash.slice(1);
    texts.set(item, label);
    texts.set(label, `${texts.get(label) ?? ""} ${label} ${item.textContent}`.toLowerCase());
  }
  const wanted = () => search.value.toLowerCase().split(/\s+/).filter(Boolean);

  const fits = (item) => kinds.every((kind) => !chosen[kind].size || chosen[kind].has(item.dataset[kind]))
    && wanted().every((word) => texts.get(texts.get(item)).includes(word));

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
    showAll.disabled = kinds.every((kind) => !chosen[kind].size) && !wanted().length;
  }

  function remember() {
    const parts = kinds.filter((kind) => chosen[kind].size).map((kind) => `${kind}=${[...chosen[kind]].join(",")}`);
    if (wanted().length) parts.push(`words=${encodeURIComponent(wanted().join(" "))}`);
    const bare = location.href.split("#")[0];
    history.replaceState(null, "", parts.length ? `${bare}#${parts.join("&")}` : bare);
  }

  function clear() {
    for (const kind of kinds) chosen[kind].clear();
    search.value = "";
  }

  function follow() {
    const hash = location.hash.slice(1);
    if (hash.includes("=")) {
      const asked = new URLSearchParams(hash);
      for (const kind of kinds) {
        const values = (asked.get(kind) ?? "").toLowerCase().split(",");
        const known = buttons.filter((b) => b.dataset.kind === kind).map((b) => b.dataset.value);
        chosen[kind] = new Set(known.filter((value) => values.includes(value.toLowerCase())));
      }
      search.value = asked.get("words") ?? "";
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
  search.addEventListener("input", () => {
    show();
    remember();
  });
  document.getElementById("print-ledger").addEventListener("click", () => {
    document.documentElement.classList.add("ledger-alone");
    print();
  });
  addEventListener("afterprint", () => document.documentElement.classList.remove("ledger-alone"));
  addEventListener("hashchange", follow);
  document.documentElement.classList.add("js");
  follow();
})();
