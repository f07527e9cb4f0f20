// The matrix view: one row per example, one column per approach, a sign in each cell.

const PAGE_ROWS = 200;

function matrixView(state) {
  const bar = h("div");
  const result = h("div", { class: "result" });
  const change = (wish) => {
    const pressed = document.activeElement?.dataset?.value;
    const next = { ...parse(location.hash), page: 1, ...wish };
    history.replaceState(null, "", address(next));
    draw(next);
    fitFrame();
    if (pressed) bar.querySelector(`[data-value="${pressed}"]`)?.focus();
  };
  const draw = (current) => {
    bar.replaceChildren(filterBar(current, change));
    result.replaceChildren(...resultOf(current, change).filter(Boolean));
  };
  let waiting = 0;
  const search = h("input", { type: "search", id: "search", value: state.q, autocomplete: "off", spellcheck: "false",
    oninput: (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => event.target.isConnected && change({ q: event.target.value.trim() }), 120);
    } });
  draw(state);
  return [h("div", { class: "matrix" },
    h("h1", { tabindex: "-1" }, "Matrix"),
    h("p", { class: "lead" }, "Every example, with the outcome of each approach."),
    h("div", { class: "tools" }, bar, h("div", { class: "row" },
      h("label", { class: "field grow" }, h("span", null, "Search inputs and answers"), search),
      tagField(state, change), sortField(state, change))),
    result)];
}

function filterBar(state, change) {
  const { counts } = filteredRows(state);
  return choices("Filter", Object.entries(FILTERS).map(([key, [label]]) => [key, label, integer(counts[key])]), state.filter,
    (filter) => change({ filter }));
}

function tagField(state, change) {
  const tags = [...new Set(rows().flatMap((row) => row.tags))].sort((a, b) => a.localeCompare(b));
  if (!tags.length) return null;
  if (state.tag && !tags.includes(state.tag)) tags.unshift(state.tag);
  return select("Tag", [["", "any"], ...tags.map((tag) => [tag, tag])], state.tag, (tag) => change({ tag }));
}

function sortField(state, change) {
  if (NAMES.length < 2) return null;
  return select("Order", [["", "file order"], ["gap", "largest difference first"]], state.sort, (sort) => change({ sort }));
}

function resultOf(state, change) {
  const { list } = filteredRows(state);
  const filter = state.filter === "all" ? "" : `, filter: ${FILTERS[state.filter][0].toLowerCase()}`;
  const from = (Math.min(state.page, pagesOf(list)) - 1) * PAGE_ROWS;
  const to = Math.min(list.length, from + PAGE_ROWS);
  const range = pagesOf(list) > 1 ? `; showing ${integer(from + 1)} to ${integer(to)}` : "";
  const count = h("p", { class: "count-line", role: "status" }, h("strong", null, integer(list.length)),
    ` of ${countOf(rows().length, "example")}${filter}${range}`);
  if (!list.length) return [count, emptyNote(state)];
  return [count, legendOf(list), ...paged(list, state, change)];
}

function emptyNote(state) {
  const unfiltered = !state.q && !state.tag && state.filter === "different";
  return h("div", { class: "empty" },
    h("p", null, unfiltered ? "No example distinguishes the approaches." : "No example matches."),
    h("p", null, h("a", { href: address({ view: "matrix", ...NO_FILTERS }) }, "Show all examples")));
}

/** A legend of the signs in the list. */
function legendOf(list) {
  const keys = new Set(list.flatMap((row) => row.keys));
  const partial = [...keys].some((key) => !ownValue(SIGNS, key));
  return h("ul", { class: "legend" }, Object.entries(SIGNS).filter(([key]) => keys.has(key)).map(([key, [, word]]) =>
    h("li", null, outcomeSign(key, false), word)),
  partial ? h("li", null, h("span", { class: "outcome partial" }, "0.5"), `${readable(PRIMARY)} between 0 and 1`) : null);
}

/** The table with the rows of one page, and the pager. */
function paged(list, state, change) {
  const page = Math.min(state.page, pagesOf(list));
  const from = (page - 1) * PAGE_ROWS;
  const head = h("tr", { role: "row" }, h("th", { scope: "col", role: "columnheader" }, "example"),
    APPROACHES.map((approach) => h("th", { scope: "col", role: "columnheader" }, wrappableName(approach.name),
      h("small", null, figure(approach.mean)))));
  const frame = h("div", { class: "frame", role: "region", "aria-label": "Examples and approaches" },
    h("table", { role: "table", class: "cells" }, h("caption", { class: "hidden" }, "Examples and approaches"),
      h("thead", { role: "rowgroup" }, head),
      h("tbody", { role: "rowgroup" }, list.slice(from, from + PAGE_ROWS).map((row) => matrixRow(row, state)))));
  return [frame, pager(list, page, change)];
}

/** A name that may wrap before the model name, for a narrow column head. */
function wrappableName(name) {
  return h("bdi", { dir: "auto" }, name.split(/(?<=:)/).flatMap((text) => [h("wbr"), text]));
}

function pagesOf(list) {
  return Math.max(1, Math.ceil(list.length / PAGE_ROWS));
}

/** The page that an example is on. */
function pageOf(row, state) {
  return Math.floor(Math.max(0, filteredRows(state).list.indexOf(row)) / PAGE_ROWS) + 1;
}

function pager(list, page, change) {
  const pages = pagesOf(list);
  if (pages === 1) return null;
  const turn = (to) => {
    change({ page: to });
    document.querySelector(".cells tbody a").focus({ preventScroll: true });
    document.querySelector(".count-line").scrollIntoView();
  };
  const button = (id, text, to) => h("button", { type: "button", class: "quiet", id, disabled: to < 1 || to > pages,
    onclick: () => turn(to) }, text);
  return h("nav", { class: "pager", "aria-label": "Pages" }, button("page-back", "Previous page", page - 1),
    h("span", null, `page ${page} of ${pages}`), button("page-on", "Next page", page + 1));
}

/** A sticky head needs a frame that does not scroll; only a table that is too wide scrolls in its frame. */
function fitFrame() {
  const frame = main.querySelector(".frame");
  if (!frame) return;
  const wide = frame.firstChild.offsetWidth > frame.offsetWidth;
  frame.classList.toggle("wide", wide);
  frame.style.scrollPaddingTop = `${frame.querySelector("thead").offsetHeight + 1}px`; // keeps rows clear of the head
  if (wide) frame.setAttribute("tabindex", "0");
  else frame.removeAttribute("tabindex");
}

function matrixRow(row, state) {
  const href = address({ ...state, view: "example", id: row.id });
  const input = row.example.input;
  return h("tr", { role: "row", onclick: (event) => {
    if (!event.target.closest("a") && getSelection().isCollapsed) location.hash = href;
  } },
  h("th", { scope: "row", role: "rowheader" }, h("a", { href, "data-id": row.id },
    userText(row.id, "span", { class: "id" }), isKnown(input) ? userText(brief(input), "span", { class: "brief" }) : null)),
  row.keys.map((key, at) => h("td", { role: "cell", "data-label": NAMES[at] }, outcomeSign(key),
    citesNothing(ownValue(cellsOf(row), NAMES[at])) ? h("small", { class: "uncited" }, "uncited") : null)));
}

function brief(text) {
  const line = asText(text).slice(0, 400).replace(/\s+/g, " ");
  return line.length > 220 ? `${line.slice(0, 219)}…` : line;
}

/** Move the focus by `step` rows, or to the first row; past the end, turn the page. */
function moveRow(step) {
  const links = [...document.querySelectorAll(".cells tbody a")];
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? links[0] : links[at + step];
  if (next) {
    next.focus();
    scrollIntoSight(next, "nearest");
  } else {
    document.getElementById(step > 0 ? "page-on" : "page-back")?.click();
  }
}

/** Scroll the row of a link into view, with the table head if the frame scrolls. */
function scrollIntoSight(link, block) {
  link.closest("tr").scrollIntoView({ block });
  link.closest(".frame.wide")?.scrollIntoView({ block: "nearest" });
}
