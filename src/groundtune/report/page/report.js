// Show the view that the address names, and handle keys.

const VIEWS = { verdict: verdictView, matrix: matrixView, example: exampleView };
const main = document.getElementById("main");

/** `#matrix?filter=…&tag=…&q=…`, `#example/ID?…`; defaults are left out. */
function address(state) {
  const query = new URLSearchParams();
  if (state.view !== "verdict") {
    if (state.filter && state.filter !== defaultFilter()) query.set("filter", state.filter);
    for (const key of ["tag", "q", "sort"]) if (state[key]) query.set(key, state[key]);
    if (state.view === "matrix" && state.page > 1) query.set("page", state.page);
  } else if (state.of) {
    query.set("of", state.of);
  }
  const path = state.view === "example" ? `example/${encodeURIComponent(state.id)}` : state.view;
  return `#${path}${query.size ? `?${query}` : ""}`;
}

function parse(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const params = new URLSearchParams(query);
  const [view, ...rest] = path.split("/");
  const filter = params.get("filter");
  return {
    view: Object.hasOwn(VIEWS, view) ? view : "verdict",
    id: decoded(rest.join("/")),
    filter: Object.hasOwn(FILTERS, filter ?? "") ? filter : defaultFilter(),
    tag: params.get("tag") ?? "",
    q: params.get("q") ?? "",
    sort: params.get("sort") === "gap" ? "gap" : "",
    page: Math.max(1, Number.parseInt(params.get("page"), 10) || 1),
    of: params.get("of") ?? "",
  };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

let current = null;

function showView() {
  const before = current;
  const state = parse(location.hash);
  open = null;
  current = state;
  main.replaceChildren(...VIEWS[state.view](state).filter(Boolean));
  main.className = `view ${state.view}`;
  fitFrame();
  document.title = `${{ verdict: "Verdict", matrix: "Matrix", example: `Example ${state.id}` }[state.view]}: ${PAGE.title}`;
  for (const link of document.querySelectorAll("nav [data-view]")) {
    const inside = state.view === "example" && link.dataset.view === "matrix";
    if (inside || link.dataset.view === state.view) link.setAttribute("aria-current", inside ? "true" : "page");
    else link.removeAttribute("aria-current");
    if (link.dataset.view === "matrix") link.href = address({ ...state, view: "matrix" });
  }
  if (before) arrive(before, state);
}

/** After navigation, focus the row of the previous example or the top of the new view. */
function arrive(before, state) {
  if (state.view === "matrix" && before.view === "example") {
    const link = [...main.querySelectorAll(".cells tbody a")].find((candidate) => candidate.dataset.id === before.id);
    if (link) {
      link.focus({ preventScroll: true });
      scrollIntoSight(link, "center");
      return;
    }
  }
  scrollTo(0, 0);
  main.querySelector("h1")?.focus({ preventScroll: true });
}

function renderFooter() {
  const facts = [
    PAGE.run ? `run ${PAGE.run}` : "",
    PAGE.made ? `created ${dateTime(PAGE.made)}` : "",
    `${countOf(PAGE.n ?? 0, "example")}, ${countOf(NAMES.length, "approach").replace("approachs", "approaches")}`,
    "95% intervals",
  ];
  document.getElementById("foot").replaceChildren(h("p", null, facts.filter(Boolean).join(" · ")),
    h("p", null, `Created by groundtune.${location.protocol === "file:" ? " This file is self-contained and loads nothing." : ""}`));
}

// -- keys -------------------------------------------------------------------------------------------------------

const help = document.getElementById("help");

/** Navigate synchronously, so that the next key acts on the new view. */
function visit(href) {
  history.pushState(null, "", href);
  showView();
}

function go(view) {
  visit(address({ ...parse(location.hash), view }));
}

/** Follow a link of the view, if it exists. */
function follow(id) {
  const href = document.getElementById(id)?.getAttribute("href");
  if (href) visit(href);
  return Boolean(href);
}

/** Handle a key; true if it did something. */
function press(key, state) {
  if (key === "?") return !help.showModal();
  if (key === "1") return !go("verdict");
  if (key === "2") return !go("matrix");
  if (key === "Escape" && closePassage(true)) return true;
  if (key === "u" || key === "Escape") return follow("back");
  if (key === "/") return !searchFor(state);
  const step = { j: 1, ArrowDown: 1, ArrowRight: 1, k: -1, ArrowUp: -1, ArrowLeft: -1 }[key];
  if (!step) return false;
  const sideways = key === "ArrowRight" || key === "ArrowLeft";
  if (state.view === "matrix" && !sideways) return !moveRow(step);
  if (state.view !== "example" || key === "ArrowDown" || key === "ArrowUp") return false;
  return follow(step > 0 ? "next" : "previous");
}

function searchFor(state) {
  if (state.view !== "matrix") go("matrix");
  document.getElementById("search").focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open || event.defaultPrevented) return;
  const target = event.target;
  if (target.matches("input, select, textarea")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  const scrolls = target.matches(".scroll, .words, .frame") && event.key.startsWith("Arrow");
  if (!scrolls && press(event.key, parse(location.hash))) event.preventDefault();
});
document.addEventListener("click", (event) => {
  if (open?.pinned && !open.card.contains(event.target) && !event.target.closest(".chip")) closePassage();
});
document.getElementById("help-open").addEventListener("click", () => help.showModal());
document.getElementById("skip").addEventListener("click", () => main.focus());
addEventListener("hashchange", showView);
addEventListener("resize", () => {
  fitFrame();
  if (open) positionPassage();
});
addEventListener("beforeprint", () => {
  for (const details of main.querySelectorAll("details")) details.open = true;
});

renderFooter();
showView();
