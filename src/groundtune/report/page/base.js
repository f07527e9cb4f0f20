// Shared by all views: the page data, element helpers, number formatting. Draws nothing by itself.

const parsed = new Map();

/** Return an embedded JSON block, parsed on first use. */
function embeddedData(name) {
  if (!parsed.has(name)) parsed.set(name, JSON.parse(document.getElementById(name).textContent));
  return parsed.get(name);
}

/** Return an own property or undefined: an example may be called "constructor". */
function ownValue(object, key) {
  return object && Object.hasOwn(object, key) ? object[key] : undefined;
}

const PAGE = embeddedData("page");
const VERDICT = PAGE.verdict ?? {};
const LEADERS = VERDICT.leaders ?? [];
const RULED_OUT = VERDICT.ruled_out ?? {};
const PRIMARY = PAGE.primary ?? "correct";
const APPROACHES = ranked(PAGE.approaches ?? []);
const NAMES = APPROACHES.map((approach) => approach.name);
const DIGITS = (PAGE.n ?? 0) >= 1000 ? 3 : 2;

/** Sort leaders first, best first; then by score; approaches without a score last. */
function ranked(approaches) {
  const rank = ({ name }) => (LEADERS.includes(name) ? LEADERS.indexOf(name) : LEADERS.length);
  return [...approaches].sort((a, b) => rank(a) - rank(b) || (b.mean ?? -1) - (a.mean ?? -1));
}

/** Return the role of an approach in the verdict, in one or two words. */
function role(name) {
  if (name === PAGE.choice) return "chosen";
  if (LEADERS.includes(name)) return "leader";
  return ownValue(RULED_OUT, name) ? "ruled out" : "";
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

/** Text written by people or models, isolated so that its direction cannot affect the text around it. */
function userText(text, tag = "bdi", attributes = {}) {
  return h(tag, { dir: "auto", ...attributes }, String(text));
}

function screenReaderText(text) {
  return h("span", { class: "hidden" }, text);
}

function section(id, title, ...children) {
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), children);
}

function bullets(texts) {
  return h("ul", { class: "points" }, texts.map((text) => userText(text, "li")));
}

/**
 * A table that turns into a list of small cards on a narrow screen.
 * head: texts, or {label, node, number}; rows: lists of cells, the first of which names the row; a cell is a text, a
 * node or {node, class}. The roles are explicit because `display: block` would remove them.
 */
function table(caption, head, rows, attributes = {}) {
  const heads = head.map((column) => (typeof column === "object" ? column : { label: column }));
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
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map((column) => h("th",
        { scope: "col", role: "columnheader", class: column.number ? "number" : null }, column.node ?? column.label)))),
      h("tbody", { role: "rowgroup" }, rows.map((cells) => h("tr", { role: "row" }, cells.map(cell))))));
}

/** A group of buttons, one of them pressed: [[value, label, note]]. */
function choices(label, options, current, pick) {
  return h("div", { class: "choices", role: "group", "aria-label": label }, options.map(([value, text, note]) =>
    h("button", { type: "button", "aria-pressed": String(value === current), "data-value": value,
      onclick: () => pick(value) }, text, note === undefined ? null : h("span", { class: "count" }, ` ${note}`))));
}

/** A select with a label: [[value, label]]. */
function select(label, options, current, pick) {
  return h("label", { class: "field" }, h("span", null, label),
    h("select", { onchange: (event) => pick(event.target.value) }, options.map(([value, text]) =>
      h("option", { value, selected: value === current }, text))));
}

// -- number formatting ------------------------------------------------------------------------------------------

const UNKNOWN = "unknown";

function isKnown(value) {
  return value !== null && value !== undefined;
}

function figure(value, digits = DIGITS) {
  if (!isKnown(value)) return "–";
  return (Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value).toFixed(digits).replace("-", "−");
}

function signed(value) {
  const text = figure(value);
  return value > 0 && Number(text) !== 0 ? `+${text}` : text;
}

/** `0.84 [0.77, 0.90]` */
function meanWithInterval({ mean, low, high }, show = figure) {
  return isKnown(mean) && isKnown(low) && isKnown(high) ? `${show(mean)} [${show(low)}, ${show(high)}]` : show(mean);
}

function integer(value) {
  return isKnown(value) ? Number(value).toLocaleString("en") : "–";
}

function countOf(value, noun) {
  return `${integer(value)} ${value === 1 ? noun : `${noun}s`}`;
}

function usd(value) {
  if (!isKnown(value)) return UNKNOWN;
  if (value === 0) return "$0";
  if (value >= 100) return `$${Math.round(value).toLocaleString("en")}`;
  const decimals = value >= 0.1 ? 2 : Math.min(8, 1 - Math.floor(Math.log10(value)));
  return `$${value.toFixed(decimals)}`;
}

function seconds(value) {
  if (!isKnown(value)) return UNKNOWN;
  if (value < 0.0005) return "under 1 ms";
  if (value < 0.0995) return `${Math.round(value * 1000)} ms`;
  return `${value.toFixed(value < 0.995 ? 2 : value < 9.95 ? 1 : 0)} s`;
}

/** Never rounds up to 100% or down to 0%. */
function percent(value) {
  if (!isKnown(value)) return "–";
  const round = Math.round(value * 100);
  if (round === 100 && value < 1) return "over 99%";
  return round === 0 && value > 0 ? "under 1%" : `${round}%`;
}

function pValue(p) {
  if (!isKnown(p)) return "–";
  return p < 0.001 ? "< 0.001" : p.toFixed(p < 0.1 ? 3 : 2);
}

/** A readable form of a metric name. */
function readable(name) {
  return String(name).replaceAll("_", " ");
}

function dateTime(iso) {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return String(iso ?? "");
  const date = { day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit" };
  return `${time.toLocaleString("en-GB", { ...date, timeZone: "UTC" }).replace(" at ", ", ")} UTC`;
}
