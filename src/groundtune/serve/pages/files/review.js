// The page for reviewing served answers: one at a time, one key each. A decision is on disk before the next one shows.

const [why, place, problem, decisions, told] = ["why", "item", "problem", "decisions", "status"]
  .map((id) => document.getElementById(id));
const skipped = new Set();
const decided = [];
let item = null;
let editing = false;
let assigning = false;
let busy = false;

// -- deciding ---------------------------------------------------------------------------------------------------

/** Do one thing at a time, and show what went wrong with it. */
async function work(action) {
  if (busy) return;
  busy = true;
  main().setAttribute("aria-busy", "true");
  problem.replaceChildren();
  try {
    await action();
  } catch (error) {
    problem.replaceChildren(h("p", { class: "problem", role: "alert" }, userText(error.message)));
  } finally {
    busy = false;
    main().removeAttribute("aria-busy");
  }
}

async function load(answer = null) {
  const reply = await post("/api/review/next", answer ? { answer } : { skip: [...skipped] });
  item = (await reply.json()).item;
  editing = assigning = false;
  show();
}

const decide = (state, text) => work(async () => {
  const { answer } = item;
  const reply = await post("/api/review/decide", { answer, state, ...(text === undefined ? {} : { text }) });
  const now = await reply.json();
  decided.push(answer);
  told.textContent = now.state === "pending" ? `You said ${state}; more reviewers have to decide.` : `The answer is ${state}.`;
  await load();
});

const undo = () => decided.length && work(async () => {
  const answer = decided.at(-1);
  await post("/api/review/decide", { answer, state: "pending" });
  decided.pop();
  told.textContent = "The decision is taken back.";
  await load(answer);
});

const skip = () => work(async () => {
  skipped.add(item.answer);
  told.textContent = "Skipped for now.";
  await load();
});

const lookAgain = () => work(async () => {
  skipped.clear();
  await load();
});

const promote = () => work(async () => {
  const report = await (await post("/api/review/promote", {})).json();
  const left = Object.entries(report.left_out).map(([reason, number]) => `${integer(number)} left out: ${reason}`);
  const added = `${countOf(report.new.length, "train example")} added to ${report.file}`;
  const unused = report.new.length && !report.used ? [`name ${report.file} under [examples] files to train on them`] : [];
  told.textContent = `${[added, ...left, ...unused].join("; ")}.`;
});

function edit() {
  editing = true;
  show();
  document.getElementById("better").focus();
}

function saveEdit() {
  const text = document.getElementById("better").value.trim();
  if (text) decide("edited", text);
}

function assign() {
  assigning = true;
  show();
  document.getElementById("assignee").focus();
}

const saveAssignee = () => work(async () => {
  const to = document.getElementById("assignee").value.trim() || null;
  await post("/api/review/assign", { answer: item.answer, to });
  told.textContent = to ? `The item is for ${to}.` : "The item is for everybody.";
  await load();
});

function cancel() {
  editing = assigning = false;
  show();
}

// -- showing ----------------------------------------------------------------------------------------------------

function main() {
  return document.getElementById("main");
}

function show() {
  closePassage();
  why.textContent = item ? `${item.reasons.join(" · ")}${isKnown(item.waiting) ? ` · ${integer(item.waiting)} waiting` : ""}` : "";
  place.replaceChildren(item ? itemView() : endView());
  decisions.replaceChildren(...(item ? (editing ? editButtons() : assigning ? assignButtons() : decisionButtons()) : endButtons()));
  if (!editing && !assigning) place.querySelector("h1")?.focus();
}

function itemView() {
  for (const passage of item.passages) embeddedData("passages")[passage.id] = passage;
  return h("article", { class: "turn" },
    item.history.map((turn) => h("p", { class: "soft" }, h("b", null, `${turn.role}: `), userText(turn.content))),
    userText(item.question, "h1", { tabindex: "-1" }),
    editing ? editor() : answerView(),
    assigning ? assigneeField() : null,
    item.comments.map((comment) => h("p", { class: "notice" }, h("b", null, "The asker wrote: "), userText(comment))),
    item.notes.map((note) => h("p", { class: "notice" }, h("b", null, "A reviewer wrote: "), userText(note))),
    below(),
    passagesView());
}

function answerView() {
  const original = item.status === "abstained"
    ? h("section", { class: "abstention" }, userText(item.text, "h2"), h("p", { class: "soft" }, "No answer was given."))
    : citedText(item.text, item.citations, []);
  return isKnown(item.edited)
    ? [h("p", { class: "kicker" }, "Edited"), userText(item.edited, "div", { class: "answer edited" }),
      h("details", null, h("summary", null, "The original answer"), original)]
    : original;
}

function editor() {
  return h("p", null, h("label", { for: "better", class: "kicker" }, "A better answer"),
    h("textarea", { id: "better", dir: "auto", rows: "6" }, item.edited ?? item.text));
}

function assigneeField() {
  return h("p", null, h("label", { for: "assignee", class: "kicker" }, "Whose item it is (empty: everybody's)"),
    h("input", { id: "assignee", type: "text", dir: "auto", autocomplete: "off", value: item.assignee ?? "" }));
}

/** How many citations are in which state: `2 exact, 1 not cited`. */
function supports() {
  const counts = new Map();
  for (const citation of item.citations) counts.set(supportWord(citation), (counts.get(supportWord(citation)) ?? 0) + 1);
  return [...counts].map(([word, count]) => `${count} ${word}`).join(", ");
}

function below() {
  const votes = item.votes.map((vote) => `${vote.by}: ${vote.state}`).join(", ");
  return h("div", { class: "below" },
    item.approach ? userText(item.approach, "span") : null,
    item.citations.length ? userText(`citations: ${supports()}`, "span") : null,
    isKnown(item.confidence) ? h("span", null, `confidence ${figure(item.confidence, 2)}`) : null,
    h("span", null, item.time.slice(0, 16).replace("T", " ")),
    item.assignee ? h("span", null, "for ", userText(item.assignee)) : null,
    votes ? userText(votes, "span") : null);
}

function passagesView() {
  const cited = new Set(item.citations.map((citation) => citation.passage_id));
  const list = item.passages.map((passage) => h("li", null,
    h("a", { href: passage.url }, userText(passage.title)),
    cited.has(passage.id) ? " (cited)" : null,
    userText(passage.text, "blockquote")));
  const changed = item.changed
    ? h("p", { class: "soft" }, `${countOf(item.changed, "passage")} changed since, and cannot be shown.`) : null;
  return list.length || changed
    ? h("section", { "aria-label": "Passages" }, h("h2", null, "What it was made from"), h("ul", { class: "found" }, list), changed)
    : null;
}

function decisionButtons() {
  return [
    button("Accept", "a", "a train example", () => decide("accepted")),
    button("Edit", "e", "a train example and a preference pair", edit),
    button("Reject", "r", "nothing is learnt", () => decide("rejected")),
    button("Decline", "d", "you cannot tell", () => decide("declined")),
    button("Skip", "s", null, skip),
    button("Assign", "g", "give it to one person", assign),
    decided.length ? button("Undo", "u", null, undo) : null,
  ].filter(Boolean);
}

function assignButtons() {
  return [button("Assign", "Enter", null, saveAssignee), button("Cancel", "Esc", null, cancel)];
}

function editButtons() {
  return [button("Save the edit", "Ctrl+Enter", null, saveEdit), button("Cancel", "Esc", null, cancel)];
}

function endView() {
  return h("article", { class: "turn" },
    h("h1", { tabindex: "-1" }, skipped.size ? "Only what you skipped is left." : "Nothing waits for you."),
    h("p", { class: "soft" }, "Answers come here when somebody finds them not helpful, when they are doubtful, and as a sample."));
}

function endButtons() {
  return [
    button("Look again", "n", null, lookAgain),
    button("Make examples", "p", "of what was accepted and edited", promote),
    decided.length ? button("Undo", "u", null, undo) : null,
  ].filter(Boolean);
}

function button(label, key, effect, act) {
  return h("button", { type: "button", onclick: act, "aria-keyshortcuts": key.replace("Ctrl", "Control").replace("Esc", "Escape") },
    h("span", null, label, " ", h("kbd", null, key)), effect ? h("span", { class: "effect" }, effect) : null);
}

document.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "Escape") {
    if (!closePassage(true) && (editing || assigning)) cancel();
    return;
  }
  if (assigning && event.key === "Enter" && event.target.id === "assignee") {
    event.preventDefault();
    saveAssignee();
    return;
  }
  if (editing && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    saveEdit();
    return;
  }
  if (editing || assigning || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const acts = item
    ? { a: () => decide("accepted"), e: edit, r: () => decide("rejected"), d: () => decide("declined"), s: skip, j: skip, g: assign, u: undo, k: undo }
    : { n: lookAgain, p: promote, u: undo, k: undo };
  const act = ownValue(acts, event.key);
  if (!act) return;
  event.preventDefault();
  act();
});

document.addEventListener("click", (event) => {
  if (open?.pinned && !open.card.contains(event.target) && !open.button.contains(event.target)) closePassage();
});

work(load);
