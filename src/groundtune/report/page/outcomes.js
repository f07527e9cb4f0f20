// The outcome of each cell as a sign, and the examples that a filter selects.

const SIGNS = {
  right: ["✓", "correct"],
  wrong: ["✗", "wrong"],
  abstained: ["–", "abstained"],
  refrained: ["–✓", "rightly abstained"],
  error: ["!", "error"],
  answered: ["○", "answered, no score"],
  none: ["·", "not run"],
};

const FILTERS = {
  different: ["Different", (row) => row.different],
  all: ["All", () => true],
  wrong: ["All wrong", (row) => row.wrong],
  errors: ["Errors", (row) => row.keys.includes("error")],
  abstained: ["Abstained", (row) => row.keys.includes("abstained") || row.keys.includes("refrained")],
};

/** Return the key of a sign; a score between 0 and 1 is its own key. */
function outcome(cell) {
  if (!cell) return "none";
  if (cell.status === "error") return "error";
  const score = ownValue(cell.scores, PRIMARY);
  if (cell.status === "abstained") return score >= 0.9995 ? "refrained" : "abstained";
  if (!isKnown(score)) return "answered";
  if (score >= 0.9995) return "right";
  return score <= 0.0005 ? "wrong" : figure(score, 2);
}

/** The sign, with a word for screen readers. */
function outcomeSign(key, aloud = true) {
  const [mark, word] = ownValue(SIGNS, key) ?? [key, `score ${key}`];
  return h("span", { class: `outcome ${ownValue(SIGNS, key) ? key : "partial"}` },
    h("span", { "aria-hidden": aloud ? "true" : null, class: "glyph" }, mark), aloud ? screenReaderText(word) : null);
}

function outcomeWord(key) {
  return ownValue(SIGNS, key)?.[1] ?? "partly correct";
}

let cachedRows = null;

/** One row per example, in file order; built from the cells alone if the examples are not known. */
function rows() {
  if (cachedRows) return cachedRows;
  const cells = embeddedData("cells");
  const list = embeddedData("examples");
  const seen = new Set(list.map((example) => example.id));
  const unknown = Object.keys(cells).filter((id) => !seen.has(id)).map((id) => ({ id, unknown: true }));
  cachedRows = [...list, ...unknown].map((example, at) => {
    const rowCells = ownValue(cells, example.id);
    const keys = NAMES.map((name) => outcome(ownValue(rowCells, name)));
    const ran = keys.filter((key) => key !== "none");
    const scores = NAMES.map((name) => ownValue(ownValue(rowCells, name)?.scores, PRIMARY)).filter(isKnown);
    return {
      at, example, keys, id: example.id, tags: example.tags ?? [],
      different: new Set(ran).size > 1,
      wrong: ran.length > 0 && ran.every((key) => ["wrong", "abstained", "error"].includes(key)),
      gap: scores.length ? Math.max(...scores) - Math.min(...scores) : 0,
    };
  });
  return cachedRows;
}

function rowOf(id) {
  return rows().find((row) => row.id === id);
}

function cellsOf(row) {
  return ownValue(embeddedData("cells"), row.id) ?? {};
}

function asText(value) {
  if (!isKnown(value)) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The searchable text of an example, built on first use. */
function haystack(row) {
  row.text ??= [row.id, row.example.input, asText(row.example.output), ...row.tags,
    ...NAMES.map((name) => asText(ownValue(cellsOf(row), name)?.output))].join("\n").toLowerCase();
  return row.text;
}

const NO_FILTERS = { filter: "all", tag: "", q: "" };
let lastQuery = "";
let lastResult = null;

/** The rows that a state selects, in its order, and how many each filter would select. */
function filteredRows(state) {
  const query = JSON.stringify([state.filter, state.tag, state.q, state.sort]);
  if (query === lastQuery) return lastResult;
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const candidates = rows().filter((row) => (!state.tag || row.tags.includes(state.tag)) &&
    words.every((word) => haystack(row).includes(word)));
  const counts = Object.fromEntries(Object.entries(FILTERS).map(([key, [, test]]) => [key, candidates.filter(test).length]));
  const list = candidates.filter(FILTERS[state.filter][1]);
  if (state.sort === "gap") list.sort((a, b) => b.gap - a.gap || a.at - b.at);
  lastQuery = query;
  lastResult = { list, counts };
  return lastResult;
}

function defaultFilter() {
  return NAMES.length > 1 ? "different" : "all";
}
