// What every view uses: the data of the page, elements, figures as text. Draws nothing by itself.

const parts = new Map();

/** One part of the data; the large ones are parsed when first asked for. */
function part(name) {
  if (!parts.has(name)) parts.set(name, JSON.parse(document.getElementById(name).textContent));
  return parts.get(name);
}

/** Own property or undefined: an example may be called "constructor". */
function own(object, key) {
  return object && Object.hasOwn(object, key) ? object[key] : undefined;
}

const PAGE = part("page");
const VERDICT = PAGE.verdict ?? {};
const LEADERS = VERDICT.leaders ?? [];
const RULED_OUT = VERDICT.ruled_out ?? {};
const PRIMARY = PAGE.primary ?? "correct";
const APPROACHES = inOrder(PAGE.approaches ?? []);
const NAMES = APPROACHES.map((one) => one.name);
const DIGITS = (PAGE.n ?? 0) >= 1000 ? 3 : 2;

/** Leaders first, best first; then by score; those without a score last. */
function inOrder(approaches) {
  const rank = (one) => (LEADERS.includes(one.name) ? LEADERS.indexOf(one.name) : LEADERS.length);
  return [...approaches].sort((a, b) => rank(a) - rank(b) || (b.mean ?? -1) - (a.mean ?? -1));
}

/** What the verdict says of an approach, in one or two words. */
function role(name) {
  if (name === PAGE.choice) return "chosen";
  if (LEADERS.includes(name)) return "leader";
  return own(RULED_OUT, name) ? "ruled out" : "";
}

// -- elements ---------------------------------------------------------------------------------------------------

function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** Text that people or models wrote: its own direction, and no influence on what stands beside it. */
function said(text, tag = "bdi", attributes = {}) {
  return h(tag, { dir: "auto", ...attributes }, String(text));
}

function hidden(text) {
  return h("span", { class: "hidden" }, text);
}

function section(id, title, ...children) {
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), children);
}

function bullets(texts) {
  return h("ul", { class: "points" }, texts.map((text) => said(text, "li")));
}

/**
 * A table that turns into a list of small cards on a narrow screen.
 * head: texts, or {label, node, number}; rows: lists of cells, the first one names the row; a cell is a text, a node or
 * {node, class}. The roles are said aloud because `display: block` would take them away.
 */
function table(caption, head, rows, attributes = {}) {
  const heads = head.map((one) => (typeof one === "object" ? one : { label: one }));
  const cell = (value, at) => {
    const { node, ...rest } = value?.node !== undefined ? value : { node: value };
    const shared = { class: heads[at].number ? "number" : null, ...rest };
    return at === 0
      ? h("th", { scope: "row", role: "rowheader", ...shared }, node)
      : h("td", { role: "cell", "data-label": heads[at].label, ...shared }, h("div", null, node));
  };
  return h("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    h("table", { role: "table", class: "stack", ...attributes },
      h("caption", { class: "hidden" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map((one) =>
        h("th", { scope: "col", role: "columnheader", class: one.number ? "number" : null }, one.node ?? one.label)))),
      h("tbody", { role: "rowgroup" }, rows.map((cells) => h("tr", { role: "row" }, cells.map(cell))))));
}

/** Buttons of which one is pressed: [[value, label, note]]. */
function choices(label, options, current, pick) {
  return h("div", { class: "choices", role: "group", "aria-label": label }, options.map(([value, text, note]) =>
    h("button", { type: "button", "aria-pressed": String(value === current), "data-value": value,
      onclick: () => pick(value) }, text, note === undefined ? null : h("span", { class: "count" }, ` ${note}`))));
}

/** A labelled select: [[value, label]]. */
function select(label, options, current, pick) {
  return h("label", { class: "field" }, h("span", null, label),
    h("select", { onchange: (event) => pick(event.target.value) }, options.map(([value, text]) =>
      h("option", { value, selected: value === current }, text))));
}

// -- figures as text --------------------------------------------------------------------------------------------

const UNKNOWN = "unknown";

function known(value) {
  return value !== null && value !== undefined;
}

function figure(value, digits = DIGITS) {
  if (!known(value)) return "–";
  return (Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value).toFixed(digits).replace("-", "−");
}

function signed(value) {
  const text = figure(value);
  return value > 0 && Number(text) !== 0 ? `+${text}` : text;
}

/** `0.84 [0.77, 0.90]` */
function spread({ mean, low, high }, show = figure) {
  return known(mean) && known(low) && known(high) ? `${show(mean)} [${show(low)}, ${show(high)}]` : show(mean);
}

function whole(value) {
  return known(value) ? Number(value).toLocaleString("en") : "–";
}

function counted(value, noun) {
  return `${whole(value)} ${value === 1 ? noun : `${noun}s`}`;
}

function usd(value) {
  if (!known(value)) return UNKNOWN;
  if (value === 0) return "$0";
  if (value >= 100) return `$${Math.round(value).toLocaleString("en")}`;
  const decimals = value >= 0.1 ? 2 : Math.min(8, 1 - Math.floor(Math.log10(value)));
  return `$${value.toFixed(decimals)}`;
}

function seconds(value) {
  if (!known(value)) return UNKNOWN;
  if (value < 0.0005) return "under 1 ms";
  if (value < 0.0995) return `${Math.round(value * 1000)} ms`;
  return `${value.toFixed(value < 0.995 ? 2 : value < 9.95 ? 1 : 0)} s`;
}

/** Never says 100 % of what is not all, nor 0 % of what is something. */
function percent(value) {
  if (!known(value)) return "–";
  const round = Math.round(value * 100);
  if (round === 100 && value < 1) return "over 99 %";
  return round === 0 && value > 0 ? "under 1 %" : `${round} %`;
}

function chance(p) {
  if (!known(p)) return "–";
  return p < 0.001 ? "< 0.001" : p.toFixed(p < 0.1 ? 3 : 2);
}

/** A metric's name for people. */
function plain(name) {
  return String(name).replaceAll("_", " ");
}

function day(iso) {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return String(iso ?? "");
  const date = { day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit" };
  return `${time.toLocaleString("en-GB", { ...date, timeZone: "UTC" }).replace(" at ", ", ")} UTC`;
}
