// The page about the documents: the ledger of the index, what is worth mending in them, and what they leave open.

const summary = document.getElementById("summary");
const VIEWS = [["", "Files"], ["state", "What to mend"], ["questions", "Open questions"]];
const STATES = { all: "All", indexed: "Indexed", notes: "With notes", skipped: "Skipped", failed: "Failed" };
const KINDS = ["contradicting", "superseded", "unanswered"];
const MOST = 20;

function view() {
  const { show = "" } = shown();
  place.replaceChildren(viewLinks("Views", VIEWS, show), h("div", { id: "part" }));
  const part = document.getElementById("part");
  if (show === "state") {
    summary.textContent = "What is worth mending in the documents themselves.";
    ask("/api/documents/state", part, stateView, "Comparing the documents with each other. With thousands of files this takes a while…");
  } else if (show === "questions") {
    summary.textContent = "What people ask and the documents leave open, from the last 28 days and the comparison.";
    ask("/api/documents/questions", part, questionsView, "Reading what was asked…");
  } else {
    filesView(part);
  }
}

// -- files ------------------------------------------------------------------------------------------------------

function filesView(part) {
  const tools = h("div", { class: "tools" });
  const list = h("div", { id: "files" });
  part.replaceChildren(tools, list);
  const { state = "all", search = "" } = shown();
  const field = searchField("Search by name", search, (text) => move({ search: text, page: "" }));
  tools.append(h("div", { class: "row", id: "states" }), h("div", { class: "row" }, field));
  listFiles();
  states({}, state);
}

function move(values) {
  history.replaceState(null, "", addressWith(values));
  listFiles();
}

function states(counts, current) {
  const options = Object.entries(STATES).map(([value, label]) => [value, label, isKnown(counts[value]) ? integer(counts[value]) : undefined]);
  document.getElementById("states").replaceChildren(choices("State", options, current,
    (value) => move({ state: value === "all" ? "" : value, page: "" })));
}

function listFiles() {
  const { state = "all", search = "", page = "1" } = shown();
  ask(pathWith("/api/documents", { state, search, page }), document.getElementById("files"), (reply) => {
    summary.textContent = `${countOf(reply.files, "file")}, ${countOf(reply.passages, "passage")} in the index.`;
    const focused = document.activeElement?.dataset?.value;
    states({ all: reply.named, ...reply.counts }, state);
    if (focused) document.querySelector(`#states [data-value="${CSS.escape(focused)}"]`)?.focus();
    if (!reply.found) return h("p", { class: "empty soft" }, reply.files ? "No file is like this." : "The index holds nothing yet.");
    const unfiltered = state === "notes" && !search && reply.page === 1;
    return [
      unfiltered ? notesView(reply.notes) : null,
      table("Files of the index", ["File", "State", { label: "Passages", number: true }, "May be read by"], reply.rows.map(fileRow)),
      pager(reply, (number) => { move({ page: number > 1 ? String(number) : "" }); scrollTo(0, 0); }),
    ];
  });
}

function fileRow(row) {
  const told = [row.reason, ...row.notes.map((note) => [note.text, note.fix].filter(Boolean).join("; "))].filter(Boolean);
  const status = row.notes.length ? `${row.status} with notes` : row.status;
  return [
    { node: [documentLink(row.source), told.map((text) => userText(text, "small"))], class: "file" },
    { node: h("span", { class: `status ${row.status}` }, status), class: "short" },
    row.status === "indexed" ? integer(row.passages) : "–",
    { node: userText(row.groups.includes("*") ? "everyone" : row.groups.join(", ") || "–"), class: "short" },
  ];
}

/** The notes of all files by their kind, what was lost first. */
function notesView(notes) {
  return notes.length ? h("ul", { class: "points" }, notes.map((note) => userText(note.text, "li"))) : null;
}

// -- the state of the documents ----------------------------------------------------------------------------------

function stateView(state) {
  const parts = [
    pairs("Other figures for the same thing", "Two documents that are no versions of each other say different things.", state.contradictions),
    versions(state.versions, state.outdated),
    findings("Dates that have passed", "By its own words the document ends, or is to be reviewed.", state.stale,
      ["File", "Date", "It says"], (each) => [documentLink(each.source), each.date, userText(each.statement)]),
    findings(`Found by none of ${countOf(state.questions, "question")}`, "No question of the examples finds a passage of these files.", state.unused ?? [],
      ["File", "Named by another document"], (each) => [documentLink(each.source), each.named ? "yes" : "no"]),
    findings("Empty or enormous", "Almost no text, or a large part of all text.", state.sizes,
      ["File", "Size", { label: "Characters", number: true }, { label: "Share of all text", number: true }],
      (each) => [documentLink(each.source), each.size, integer(each.characters), percent(each.share)]),
  ].filter(Boolean);
  const untold = state.unused === null
    ? h("p", { class: "soft small" }, `${countOf(state.questions, "question")} of the examples are too few to tell which files nobody needs.`) : null;
  return [userText(sentence(state.summary), "p", { class: "told" }), parts, untold];
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

function part(title, about, count, ...content) {
  return h("section", { class: "part" }, h("h2", null, title, h("span", { class: "count" }, ` ${integer(count)}`)),
    h("p", { class: "soft small" }, about), content);
}

function findings(title, about, found, head, row) {
  return found.length ? part(title, about, found.length, firstOf(found, MOST, (some) => table(title, head, some.map(row)))) : null;
}

function pairs(title, about, found) {
  return found.length ? part(title, about, found.length, firstOf(found, MOST, (some) => some.map(pairView))) : null;
}

function pairView({ differing, statements }) {
  return h("article", { class: "against" }, h("h3", null, userText(differing[0]), " or ", userText(differing[1])),
    h("div", { class: "sides" }, statements.map((said, at) => h("figure", null,
      h("blockquote", { dir: "auto" }, marked(said.text, differing[at])),
      h("figcaption", { class: "soft small" }, documentLink(said.source))))));
}

/** A text with the first place of some words marked. */
function marked(text, words) {
  const at = text.indexOf(words);
  return at < 0 ? text : [text.slice(0, at), h("mark", null, words), text.slice(at + words.length)];
}

function versions(found, outdated) {
  if (!found.length) return null;
  const differing = (pair) => outdated.filter(({ statements }) =>
    [pair.older, pair.newer].every((source) => statements.some((said) => said.source === source))).length;
  return part("Versions of each other", "The older one should say so, or go.", found.length, firstOf(found, MOST, (some) =>
    table("Versions of each other", ["Older", "Newer", "Known by", { label: "Figures that differ", number: true }],
      some.map((pair) => [documentLink(pair.older), documentLink(pair.newer),
        userText(pair.statement ?? "their names"), integer(differing(pair))]))));
}

// -- open questions ----------------------------------------------------------------------------------------------

function questionsView(report) {
  const hidden = report.hidden
    ? h("p", { class: "notice" }, `${countOf(report.hidden, "question")} of people with other access groups than yours left out. `,
      h("code", null, "groundtune gaps --group NAME"), " shows them.") : null;
  return [userText(sentence(report.summary), "p", { class: "told" }), hidden, KINDS.map((kind) => {
    const topics = report.topics.filter((topic) => topic.kind === kind);
    return topics.length ? part(report.titles[kind], ABOUT[kind], topics.reduce((sum, topic) => sum + topic.questions.length, 0),
      firstOf(topics, MOST, (some) => h("div", { class: "topics" }, some.map(topicView)))) : null;
  })];
}

const ABOUT = {
  contradicting: "Make the documents agree.",
  superseded: "Remove the older document, or make it say that it is replaced.",
  unanswered: "Write what is missing, or say that it is not yours to answer.",
};

function topicView(topic) {
  return h("article", { class: "topic" }, h("h3", null, userText(topic.label), h("span", { class: "count" }, ` asked ${countOf(topic.times, "time")}`)),
    h("ul", { class: "points" }, topic.questions.map((each) => h("li", null, userText(each.question),
      each.times > 1 ? h("span", { class: "soft" }, ` · ${integer(each.times)} times`) : null,
      each.sources.length ? h("small", { class: "soft" }, each.sources.map((source, at) => [at ? ", " : "", documentLink(source)]),
        each.why ? [": ", userText(each.why)] : null) : null))));
}

view();
