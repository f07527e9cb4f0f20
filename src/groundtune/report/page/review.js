// The page for reviewing drafted examples. Decisions are kept in this browser and saved as one JSON file.

const DRAFTS = PAGE.examples;
const STORE = `groundtune review ${PAGE.file} ${DRAFTS.map((draft) => draft.id).join()}`;
const decisions = new Map(Object.entries(stored()));
const earlier = [];
let at = Math.max(0, DRAFTS.findIndex((draft) => !decisions.has(draft.id)));
let editing = false;

/** Return the decisions that this browser kept; none where it keeps nothing for files. */
function stored() {
  try {
    return JSON.parse(localStorage.getItem(STORE) ?? "{}");
  } catch {
    return {};
  }
}

function keep() {
  try {
    localStorage.setItem(STORE, JSON.stringify(Object.fromEntries(decisions)));
  } catch {
    // the file that is saved holds them
  }
}

function decide(state, changed = {}) {
  const draft = DRAFTS[at];
  earlier.push([at, draft.id, decisions.get(draft.id)]);
  const by = document.getElementById("by").value.trim();
  decisions.set(draft.id, { id: draft.id, state, by, time: new Date().toISOString(), ...changed });
  keep();
  move(1);
}

function undo() {
  const last = earlier.pop();
  if (!last) return;
  const [place, id, before] = last;
  if (before) decisions.set(id, before);
  else decisions.delete(id);
  keep();
  at = place;
  editing = false;
  show();
}

function move(step) {
  editing = false;
  at = Math.min(Math.max(at + step, 0), DRAFTS.length);
  show();
}

function edit() {
  editing = true;
  show();
  document.getElementById("input").focus();
}

function saveEdit() {
  const [input, output] = ["input", "output"].map((id) => document.getElementById(id).value.trim());
  if (!input) return;
  decide("edited", { input, output: output || null });
}

function save() {
  const named = [...decisions.values()].map((decision) => ({
    ...decision, by: decision.by || document.getElementById("by").value.trim() || "unnamed",
  }));
  const text = JSON.stringify({ file: PAGE.file, decisions: named }, null, 2);
  const link = h("a", {
    href: URL.createObjectURL(new Blob([text], { type: "application/json" })),
    download: `${PAGE.file.replace(/\.jsonl$/, "")}-decisions.json`,
  });
  link.click();
  URL.revokeObjectURL(link.href);
}

function show() {
  const main = document.getElementById("main");
  main.replaceChildren(at < DRAFTS.length ? draftView(DRAFTS[at]) : endView());
  const left = DRAFTS.length - decisions.size;
  document.getElementById("foot").replaceChildren(
    h("p", { role: "status" }, `${decisions.size} of ${DRAFTS.length} decided, ${left} left. Save the decisions, then: `,
      h("code", null, `groundtune examples review ${PAGE.file} --decisions FILE`)));
  (main.querySelector("h1") ?? main).focus();
}

function draftView(draft) {
  const decided = decisions.get(draft.id);
  const now = { ...draft, ...(decided?.state === "edited" ? decided : {}) };
  return h("article", { class: "draft" },
    h("p", { class: "kicker" }, `${at + 1} of ${DRAFTS.length} · ${draft.kind}`, decided ? ` · ${decided.state}` : ""),
    draft.history.map((turn) => h("p", { class: "soft" }, h("b", null, `${turn.role}: `), userText(turn.content))),
    editing ? editor(now) : [userText(now.input, "h1", { tabindex: "-1" }), answer(now)],
    draft.evidence.map((proof) => h("figure", null,
      h("figcaption", { class: "soft small" }, userText(proof.source)),
      h("blockquote", { dir: "auto" }, proof.before, h("mark", null, proof.quote), proof.after))),
    h("div", { class: "choices" }, editing
      ? [button("Save the edit", saveEdit), button("Cancel", () => move(0))]
      : [button("Accept", () => decide("accepted"), "a"), button("Edit", edit, "e"),
        button("Reject", () => decide("rejected"), "r"), button("Skip", () => move(1), "s"), button("Undo", undo, "u")]));
}

function answer(draft) {
  return draft.output === null
    ? h("p", { class: "answer" }, "The documents do not answer it.")
    : h("p", { class: "answer" }, userText(draft.output));
}

function editor(draft) {
  return [["input", "Question", draft.input], ["output", "Answer; empty if the documents do not answer it", draft.output]]
    .map(([id, label, text]) => h("p", null, h("label", { for: id }, label), h("textarea", { id, dir: "auto" }, text ?? "")));
}

function endView() {
  return h("article", { class: "draft" }, h("h1", { tabindex: "-1" }, "That was the last draft."),
    h("div", { class: "choices" }, button("Save decisions", save, "d"), button("Undo", undo, "u")));
}

function button(label, act, key) {
  return h("button", { type: "button", onclick: act }, label, key ? [" ", h("kbd", null, key)] : null);
}

document.getElementById("save").addEventListener("click", save);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea")) return;
  const inside = at < DRAFTS.length;
  const acts = {
    u: undo, d: save, k: () => move(-1),
    ...(inside ? { a: () => decide("accepted"), e: edit, r: () => decide("rejected"), s: () => move(1), j: () => move(1) } : {}),
  };
  const act = editing ? null : ownValue(acts, event.key);
  if (!act) return;
  event.preventDefault();
  act();
});
show();
