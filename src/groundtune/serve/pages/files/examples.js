// The page of all examples, and of the drafted ones, which a person decides about one at a time, one key each.

const ORIGINS = ["by hand", "imported", "drafted", "reviewed", "collected", "distilled"];
const STATES = { undecided: "not looked at", accepted: "accepted", edited: "edited", rejected: "rejected" };
const SPLITS = ["train", "validation", "test"];
const EFFECTS = {
  train: { accept: "trained on", edit: "trained on as you write it", reject: "not trained on" },
  validation: { accept: "tuned with", edit: "tuned with as you write it", reject: "not tuned with" },
  test: { accept: "measured with", edit: "measured with as you write it", reject: "no longer measured with" },
};
const said = document.getElementById("status");

function view() {
  const { show, draft } = shown();
  if (show === "drafts" || draft) deck();
  else list();
}

// -- the list ---------------------------------------------------------------------------------------------------

function list() {
  const { search = "" } = shown();
  const tools = h("div", { class: "tools" }, h("div", { class: "row", id: "origins" }), h("div", { class: "row" },
    h("div", { id: "states" }), h("div", { id: "splits" }),
    searchField("Search", search, (text) => move({ search: text, page: "" }))));
  place.replaceChildren(h("h1", null, "Examples"), h("p", { class: "kicker", id: "summary", role: "status" }, "\u00a0"),
    h("div", { id: "told" }), tools, h("div", { id: "found" }));
  filters(null);
  listExamples();
}

function move(values) {
  history.replaceState(null, "", addressWith(values));
  listExamples();
}

function filters(reply) {
  const { origin = "", state = "", split = "" } = shown();
  const focused = document.activeElement?.closest("#origins, #states, #splits")?.id;
  const number = (counts, name) => (counts ? integer(counts[name]) : undefined);
  const present = ORIGINS.filter((name) => !reply || reply.origins[name] || name === origin);
  document.getElementById("origins").replaceChildren(choices("Origin",
    [["", "All", reply ? integer(reply.examples) : undefined], ...present.map((name) => [name, capital(name), number(reply?.origins, name)])],
    origin, (value) => move({ origin: value, page: "" })));
  document.getElementById("states").replaceChildren(select("Decision",
    [["", "Any"], ...Object.entries(STATES).map(([value, label]) => [value, reply ? `${capital(label)} (${integer(reply.states[value])})` : capital(label)])],
    state, (value) => move({ state: value, page: "" })));
  document.getElementById("splits").replaceChildren(select("Split",
    [["", "Any"], ...SPLITS.map((name) => [name, reply ? `${capital(name)} (${integer(reply.splits[name])})` : capital(name)])],
    split, (value) => move({ split: value, page: "" })));
  if (focused) document.querySelector(`#${focused} select, #${focused} [aria-pressed="true"]`)?.focus();
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

function listExamples() {
  const { origin, state, split, search, page } = shown();
  ask(pathWith("/api/examples", { origin, state, split, search, page }), document.getElementById("found"), (reply) => {
    filters(reply);
    const files = reply.files.length;
    document.getElementById("summary").textContent = files
      ? `${countOf(reply.examples, "example")} in ${countOf(files, "file")}: ${SPLITS.map((name) => `${integer(reply.splits[name])} ${name}`).join(", ")}.`
      : "There are no examples yet.";
    document.getElementById("told").replaceChildren(...notices(reply));
    if (!reply.found) return h("p", { class: "empty soft" }, files ? "No example is like this." : noExamples());
    return [table("Examples", ["Question", "Answer", "Origin", "Split", "Decision"], reply.rows.map(exampleRow)),
      pager(reply, (number) => { move({ page: number > 1 ? String(number) : "" }); scrollTo(0, 0); })];
  });
}

function noExamples() {
  return [h("code", null, "groundtune examples draft"), " drafts some from the documents, and ",
    h("code", null, "groundtune examples import FILE"), " reads those that you have."];
}

function notices(reply) {
  const waiting = reply.states.undecided;
  const unread = reply.files.filter((file) => file.problems.length).map((file) => h("div", { class: "problem", role: "alert" },
    h("p", null, userText(file.name), " cannot be read:"), h("ul", { class: "points" }, file.problems.map((text) => userText(text, "li")))));
  const unused = reply.files.filter((file) => !file.used && !file.problems.length && file.examples);
  return [
    waiting ? h("p", { class: "notice call" }, h("span", null, `${countOf(waiting, "drafted example")} ${waiting === 1 ? "waits" : "wait"} for a person.`),
      h("a", { class: "primary", href: addressWith({ show: "drafts", page: "" }) }, "Decide")) : null,
    ...unread,
    unused.length ? h("p", { class: "soft small" }, unused.map((file, at) => [at ? ", " : "", h("code", null, userText(file.name))]),
      unused.length === 1 ? " is not used yet: name it under " : " are not used yet: name them under ", h("code", null, "[examples] files"), ".") : null,
  ].filter(Boolean);
}

function exampleRow(row) {
  const drafted = row.origin === "drafted";
  const question = userText(row.input, "span", { class: "brief" });
  const facts = [row.file, ...row.tags].join(" · ");
  return [
    { node: [drafted ? h("a", { href: addressWith({ draft: row.id, file: row.file, show: "" }) }, question) : question,
      userText(facts, "small")], class: "question" },
    row.output === null ? h("span", { class: "soft" }, "not in the documents") : userText(row.output, "span", { class: "brief" }),
    { node: [capital(row.origin), row.origin === "imported" || row.origin === "distilled" ? userText(row.from, "small") : null], class: "short" },
    { node: row.split, class: "short" },
    { node: row.state === "none" ? "–" : [h("span", { class: `status ${row.state}` }, STATES[row.state]),
      row.by ? userText(`${row.by}, ${row.time.slice(0, 10)}`, "small") : null], class: "short" },
  ];
}

// -- the drafts, one at a time ------------------------------------------------------------------------------------

const skipped = [];
const decided = [];
let draft = null;
let left = 0;
let editing = false;
let busy = false;

function deck() {
  place.replaceChildren(h("p", { class: "kicker" }, h("a", { href: addressWith({ show: "", draft: "", file: "" }) }, "Examples"), h("span", { id: "why" })),
    h("div", { id: "item" }), h("div", { id: "problem" }), h("div", { class: "decisions", id: "decisions" }));
  document.getElementById("main").classList.add("deck");
  const { draft: id, file } = shown();
  work(() => load(id ? { id, file } : null));
}

/** Do one thing at a time, and show what went wrong with it. */
async function work(action) {
  if (busy) return;
  busy = true;
  const main = document.getElementById("main");
  main.setAttribute("aria-busy", "true");
  document.getElementById("problem").replaceChildren();
  try {
    await action();
  } catch (error) {
    document.getElementById("problem").replaceChildren(problem(error.message));
  } finally {
    busy = false;
    main.removeAttribute("aria-busy");
  }
}

async function load(named = null) {
  const reply = await (await post("/api/examples/next", named ? { draft: named } : { skip: skipped })).json();
  ({ draft, left } = reply);
  editing = false;
  showDraft();
}

const nameOf = ({ file, id }) => ({ file, id });

const decide = (state, changed = {}) => work(async () => {
  const { file, id, version, input, output } = draft;
  const reply = await (await post("/api/examples/decide", { file, id, version, state, ...changed }).catch(lookAgain)).json();
  decided.push({ file, id, version: reply.version, input, output });
  said.textContent = reply.split === "test" && state !== "accepted" ? `${capital(state)}: the test split has changed.` : `${capital(state)}.`;
  await load();
  if (reply.near) document.getElementById("problem").replaceChildren(nearView(id, reply));
});

/** Say that an edit has made a question of one split nearly that of another, so that one would give the other away. */
function nearView(id, { split, near }) {
  return h("p", { class: "notice", role: "alert" }, "The edited draft ", h("code", null, userText(id)), ` of the ${split} split now asks nearly the same as `,
    h("code", null, userText(near.id)), ` of the ${near.split} split: undo, or reject it.`);
}

/** Show the draft as its file has it now, and say why nothing was decided. */
async function lookAgain(error) {
  await load(nameOf(draft));
  throw error;
}

const undo = () => decided.length && work(async () => {
  const last = decided.at(-1);
  await post("/api/examples/decide", { ...last, state: "undecided" });
  decided.pop();
  said.textContent = "The decision is taken back.";
  await load(nameOf(last));
});

const skip = () => work(async () => {
  skipped.push(nameOf(draft));
  said.textContent = "Skipped for now.";
  await load();
});

const again = () => work(async () => {
  skipped.length = 0;
  await load(draft ? nameOf(draft) : null);
});

function edit() {
  editing = true;
  showDraft();
  document.getElementById("input").focus();
}

function saveEdit() {
  const [input, output] = ["input", "output"].map((id) => document.getElementById(id).value.trim());
  if (input) decide("edited", { input, output: output || null });
}

function cancelEdit() {
  editing = false;
  showDraft();
}

function showDraft() {
  const why = draft ? [draft.kind, `${draft.split} split`, draft.file, `${integer(left)} to look at`].filter(Boolean).join(" · ") : "";
  document.getElementById("why").replaceChildren(why ? userText(` · ${why}`) : "");
  document.getElementById("item").replaceChildren(draft ? draftView() : endView());
  document.getElementById("decisions").replaceChildren(...(draft ? (editing ? editButtons() : decisionButtons()) : endButtons()).filter(Boolean));
  if (!editing) document.querySelector("#item h1")?.focus();
}

function draftView() {
  return h("article", { class: "turn" },
    draft.state === "undecided" ? null : h("p", { class: "notice" }, `Somebody decided already: ${STATES[draft.state] ?? draft.state}.`),
    draft.history.map((turn) => h("p", { class: "soft" }, h("b", null, `${turn.role}: `), userText(turn.content))),
    editing ? editor() : [userText(draft.input, "h1", { tabindex: "-1" }), answer()],
    draft.evidence.map((proof) => h("figure", { class: "proof" },
      h("blockquote", { dir: "auto" }, proof.before, h("mark", null, proof.quote), proof.after),
      h("figcaption", { class: "soft small" }, documentLink(proof.source)))),
    draft.groups.length ? h("p", { class: "soft small" }, "Asked by somebody in ", userText(draft.groups.join(", ")), ".") : null);
}

function answer() {
  return draft.output === null
    ? h("section", { class: "abstention" }, h("h2", null, "The documents do not answer it."))
    : userText(draft.output, "p", { class: "answer verbatim" });
}

function editor() {
  return [["input", "Question", draft.input], ["output", "Answer; empty if the documents do not answer it", draft.output]]
    .map(([id, label, text]) => h("p", null, h("label", { for: id, class: "kicker" }, label),
      h("textarea", { id, dir: "auto", rows: id === "input" ? "2" : "4" }, text ?? "")));
}

function decisionButtons() {
  const effect = EFFECTS[draft.split];
  return [
    button("Accept", "a", effect.accept, () => decide("accepted")),
    button("Edit", "e", effect.edit, edit),
    button("Reject", "r", effect.reject, () => decide("rejected")),
    button("Skip", "s", null, skip),
    decided.length ? button("Undo", "u", null, undo) : null,
  ];
}

function editButtons() {
  return [button("Save the edit", "Ctrl+Enter", EFFECTS[draft.split].edit, saveEdit), button("Cancel", "Esc", null, cancelEdit)];
}

function endView() {
  return h("article", { class: "turn" },
    h("h1", { tabindex: "-1" }, skipped.length ? "Only what you skipped is left." : "No draft waits for you."),
    h("p", { class: "soft" }, skipped.length ? null : noExamples()));
}

function endButtons() {
  return [skipped.length ? button("Look again", "n", null, again) : null, decided.length ? button("Undo", "u", null, undo) : null];
}

function button(label, key, effect, act) {
  return h("button", { type: "button", onclick: act, "aria-keyshortcuts": key.replace("Ctrl", "Control").replace("Esc", "Escape") },
    h("span", null, label, " ", h("kbd", null, key)), effect ? h("span", { class: "effect" }, effect) : null);
}

document.addEventListener("keydown", (event) => {
  if (event.isComposing || !document.getElementById("decisions")) return;
  if (event.key === "Escape" && editing) {
    cancelEdit();
    return;
  }
  if (editing && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    saveEdit();
    return;
  }
  if (editing || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const acts = draft
    ? { a: () => decide("accepted"), e: edit, r: () => decide("rejected"), s: skip, j: skip, u: undo, k: undo }
    : { n: again, u: undo, k: undo };
  const act = ownValue(acts, event.key);
  if (!act) return;
  event.preventDefault();
  act();
});

view();
