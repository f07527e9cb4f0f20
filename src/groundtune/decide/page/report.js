// Which view is shown, from the address; and the keys.

const VIEWS = { verdict: verdictView, matrix: matrixView, example: exampleView };
const main = document.getElementById("main");

/** `#matrix?filter=…&tag=…&q=…`, `#example/ID?…`; only what is not the default is written. */
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
  const asked = new URLSearchParams(query);
  const [view, ...rest] = path.split("/");
  const filter = asked.get("filter");
  return {
    view: Object.hasOwn(VIEWS, view) ? view : "verdict",
    id: decoded(rest.join("/")),
    filter: Object.hasOwn(FILTERS, filter ?? "") ? filter : defaultFilter(),
    tag: asked.get("tag") ?? "",
    q: asked.get("q") ?? "",
    sort: asked.get("sort") === "gap" ? "gap" : "",
    page: Math.max(1, Number.parseInt(asked.get("page"), 10) || 1),
    of: asked.get("of") ?? "",
  };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

let shown = null;

function show() {
  const before = shown;
  const state = parse(location.hash);
  open = null;
  shown = state;
  main.replaceChildren(...VIEWS[state.view](state).filter(Boolean));
  main.className = `view ${state.view}`;
  fit();
  document.title = `${{ verdict: "Verdict", matrix: "Matrix", example: `Example ${state.id}` }[state.view]}: ${PAGE.title}`;
  for (const link of document.querySelectorAll("nav [data-view]")) {
    const inside = state.view === "example" && link.dataset.view === "matrix";
    if (inside || link.dataset.view === state.view) link.setAttribute("aria-current", inside ? "true" : "page");
    else link.removeAttribute("aria-current");
    if (link.dataset.view === "matrix") link.href = address({ ...state, view: "matrix" });
  }
  if (before) arrive(before, state);
}

/** After a move: the row one came from, or the top of what is new. */
function arrive(before, state) {
  if (state.view === "matrix" && before.view === "example") {
    const link = [...main.querySelectorAll(".cells tbody a")].find((one) => one.dataset.id === before.id);
    if (link) {
      link.focus({ preventScroll: true });
      bringIntoSight(link, "center");
      return;
    }
  }
  scrollTo(0, 0);
  main.querySelector("h1")?.focus({ preventScroll: true });
}

function foot() {
  const facts = [
    PAGE.run ? `run ${PAGE.run}` : "",
    PAGE.made ? `made ${day(PAGE.made)}` : "",
    `${counted(PAGE.n ?? 0, "example")}, ${counted(NAMES.length, "approach").replace("approachs", "approaches")}`,
    "intervals are 95 %",
  ];
  document.getElementById("foot").replaceChildren(h("p", null, facts.filter(Boolean).join(" · ")),
    h("p", null, "Made by groundtune. This file is complete in itself and loads nothing."));
}

// -- keys -------------------------------------------------------------------------------------------------------

const help = document.getElementById("help");

/** Go there at once: the next key must already meet the new view. */
function visit(href) {
  history.pushState(null, "", href);
  show();
}

function go(view) {
  visit(address({ ...parse(location.hash), view }));
}

/** Follow a link of the view, if it is there. */
function follow(id) {
  const href = document.getElementById(id)?.getAttribute("href");
  if (href) visit(href);
  return Boolean(href);
}

/** What a key does in a view; true when it did something. */
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
addEventListener("hashchange", show);
addEventListener("resize", () => {
  fit();
  if (open) settle();
});
addEventListener("beforeprint", () => {
  for (const details of main.querySelectorAll("details")) details.open = true;
});

foot();
show();
