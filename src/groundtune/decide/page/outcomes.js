// What came out of each cell in one sign, and which examples a filter shows.

const SIGNS = {
  right: ["✓", "right"],
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

/** The key of a sign; a score between 0 and 1 is its own. */
function outcome(cell) {
  if (!cell) return "none";
  if (cell.status === "error") return "error";
  const score = own(cell.scores, PRIMARY);
  if (cell.status === "abstained") return score >= 0.9995 ? "refrained" : "abstained";
  if (!known(score)) return "answered";
  if (score >= 0.9995) return "right";
  return score <= 0.0005 ? "wrong" : figure(score, 2);
}

/** The sign, and the word for those who do not see it. */
function signOf(key, aloud = true) {
  const [mark, word] = own(SIGNS, key) ?? [key, `score ${key}`];
  return h("span", { class: `outcome ${own(SIGNS, key) ? key : "partial"}` },
    h("span", { "aria-hidden": aloud ? "true" : null, class: "glyph" }, mark), aloud ? hidden(word) : null);
}

function wordOf(key) {
  return own(SIGNS, key)?.[1] ?? "partly right";
}

let rowsMade = null;

/** A row an example, in the order of the file; from the cells alone when the examples are not known. */
function rows() {
  if (rowsMade) return rowsMade;
  const cells = part("cells");
  const list = part("examples");
  const seen = new Set(list.map((one) => one.id));
  const unknown = Object.keys(cells).filter((id) => !seen.has(id)).map((id) => ({ id, unknown: true }));
  rowsMade = [...list, ...unknown].map((example, at) => {
    const own_cells = own(cells, example.id);
    const keys = NAMES.map((name) => outcome(own(own_cells, name)));
    const ran = keys.filter((key) => key !== "none");
    const scores = NAMES.map((name) => own(own(own_cells, name)?.scores, PRIMARY)).filter(known);
    return {
      at, example, keys, id: example.id, tags: example.tags ?? [],
      different: new Set(ran).size > 1,
      wrong: ran.length > 0 && ran.every((key) => ["wrong", "abstained", "error"].includes(key)),
      gap: scores.length ? Math.max(...scores) - Math.min(...scores) : 0,
    };
  });
  return rowsMade;
}

function rowOf(id) {
  return rows().find((row) => row.id === id);
}

function cellsOf(row) {
  return own(part("cells"), row.id) ?? {};
}

function asText(value) {
  if (!known(value)) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** All that can be searched in one example, made when first searched. */
function haystack(row) {
  row.text ??= [row.id, row.example.input, asText(row.example.output), ...row.tags,
    ...NAMES.map((name) => asText(own(cellsOf(row), name)?.output))].join("\n").toLowerCase();
  return row.text;
}

const EVERYTHING = { filter: "all", tag: "", q: "" };
let lastAsked = "";
let lastFound = null;

/** The rows that a state shows, in its order, and how many each filter would show. */
function found(state) {
  const asked = JSON.stringify([state.filter, state.tag, state.q, state.sort]);
  if (asked === lastAsked) return lastFound;
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const candidates = rows().filter((row) => (!state.tag || row.tags.includes(state.tag)) &&
    words.every((word) => haystack(row).includes(word)));
  const counts = Object.fromEntries(Object.entries(FILTERS).map(([key, [, test]]) => [key, candidates.filter(test).length]));
  const list = candidates.filter(FILTERS[state.filter][1]);
  if (state.sort === "gap") list.sort((a, b) => b.gap - a.gap || a.at - b.at);
  lastAsked = asked;
  lastFound = { list, counts };
  return lastFound;
}

function defaultFilter() {
  return NAMES.length > 1 ? "different" : "all";
}
