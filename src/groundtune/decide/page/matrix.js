// The matrix: a row an example, a column an approach, a sign in each cell.

const PAGE_ROWS = 200;

function matrixView(state) {
  const bar = h("div");
  const result = h("div", { class: "result" });
  const change = (wish) => {
    const pressed = document.activeElement?.dataset?.value;
    const next = { ...parse(location.hash), page: 1, ...wish };
    history.replaceState(null, "", address(next));
    draw(next);
    fit();
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
    h("p", { class: "lead" }, "Every example with what each approach made of it."),
    h("div", { class: "tools" }, bar, h("div", { class: "row" },
      h("label", { class: "field grow" }, h("span", null, "Search in inputs and answers"), search),
      tagField(state, change), sortField(state, change))),
    result)];
}

function filterBar(state, change) {
  const { counts } = found(state);
  return choices("Filter", Object.entries(FILTERS).map(([key, [label]]) => [key, label, whole(counts[key])]), state.filter,
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
  return select("Order", [["", "as in the file"], ["gap", "largest difference first"]], state.sort, (sort) => change({ sort }));
}

function resultOf(state, change) {
  const { list } = found(state);
  const filter = state.filter === "all" ? "" : `, filter: ${FILTERS[state.filter][0].toLowerCase()}`;
  const from = (Math.min(state.page, pagesOf(list)) - 1) * PAGE_ROWS;
  const here = pagesOf(list) > 1 ? `; here ${whole(from + 1)} to ${whole(Math.min(list.length, from + PAGE_ROWS))}` : "";
  const count = h("p", { class: "count-line", role: "status" }, h("strong", null, whole(list.length)),
    ` of ${counted(rows().length, "example")}${filter}${here}`);
  if (!list.length) return [count, emptyNote(state)];
  return [count, legendOf(list), ...paged(list, state, change)];
}

function emptyNote(state) {
  const plainly = !state.q && !state.tag && state.filter === "different";
  return h("div", { class: "empty" },
    h("p", null, plainly ? "No example tells the approaches apart." : "No example is like that."),
    h("p", null, h("a", { href: address({ view: "matrix", ...EVERYTHING }) }, "Show all examples")));
}

/** The signs that occur, in words. */
function legendOf(list) {
  const keys = new Set(list.flatMap((row) => row.keys));
  const partial = [...keys].some((key) => !own(SIGNS, key));
  return h("ul", { class: "legend" }, Object.entries(SIGNS).filter(([key]) => keys.has(key)).map(([key, [, word]]) =>
    h("li", null, signOf(key, false), word)),
  partial ? h("li", null, h("span", { class: "outcome partial" }, "0.5"), `${plain(PRIMARY)} between 0 and 1`) : null);
}

/** The table with the rows of one page, and the way to the others. */
function paged(list, state, change) {
  const page = Math.min(state.page, pagesOf(list));
  const from = (page - 1) * PAGE_ROWS;
  const head = h("tr", { role: "row" }, h("th", { scope: "col", role: "columnheader" }, "example"),
    APPROACHES.map((one) => h("th", { scope: "col", role: "columnheader" }, breakable(one.name),
      h("small", null, figure(one.mean)))));
  const frame = h("div", { class: "frame", role: "region", "aria-label": "Examples and approaches" },
    h("table", { role: "table", class: "cells" }, h("caption", { class: "hidden" }, "Examples and approaches"),
      h("thead", { role: "rowgroup" }, head),
      h("tbody", { role: "rowgroup" }, list.slice(from, from + PAGE_ROWS).map((row) => matrixRow(row, state)))));
  return [frame, pager(list, page, change)];
}

/** A name for a narrow head, which may go on in the next line where the name of the model begins. */
function breakable(name) {
  return h("bdi", { dir: "auto" }, name.split(/(?<=:)/).flatMap((text) => [h("wbr"), text]));
}

function pagesOf(list) {
  return Math.max(1, Math.ceil(list.length / PAGE_ROWS));
}

/** The page on which an example stands. */
function pageOf(row, state) {
  return Math.floor(Math.max(0, found(state).list.indexOf(row)) / PAGE_ROWS) + 1;
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

/** A head that sticks to the window needs a frame that does not scroll; a table that is too wide scrolls in its frame. */
function fit() {
  const frame = main.querySelector(".frame");
  if (!frame) return;
  const wide = frame.firstChild.offsetWidth > frame.offsetWidth;
  frame.classList.toggle("wide", wide);
  frame.style.scrollPaddingTop = `${frame.querySelector("thead").offsetHeight + 1}px`; // a row never hides behind the head
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
    said(row.id, "span", { class: "id" }), known(input) ? said(brief(input), "span", { class: "brief" }) : null)),
  row.keys.map((key, at) => h("td", { role: "cell", "data-label": NAMES[at] }, signOf(key))));
}

function brief(text) {
  const line = asText(text).slice(0, 400).replace(/\s+/g, " ");
  return line.length > 220 ? `${line.slice(0, 219)}…` : line;
}

/** Focus the row `step` away from the focused one, or the first one; past the end, turn the page. */
function moveRow(step) {
  const links = [...document.querySelectorAll(".cells tbody a")];
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? links[0] : links[at + step];
  if (next) {
    next.focus();
    bringIntoSight(next, "nearest");
  } else {
    document.getElementById(step > 0 ? "page-on" : "page-back")?.click();
  }
}

/** The row of a link, with the head of the table where that is in a frame that scrolls. */
function bringIntoSight(link, block) {
  link.closest("tr").scrollIntoView({ block });
  link.closest(".frame.wide")?.scrollIntoView({ block: "nearest" });
}
