// The questions of `groundtune advise`, and the advice that follows. Each answer is sent at once; kept only on demand.

const place = document.getElementById("advising");
const problem = document.getElementById("problem");
const advised = h("div", { class: "advised" });
const soFar = h("p", { class: "so-far", role: "status" });
const kept = h("span", { class: "soft small", role: "status" });
const FAMILIES = { prompt: "a good prompt first", rag: "retrieve", "fine-tune": "fine-tune", both: "retrieve and fine-tune" };
let known = null;
let answers = {};
let request = null;

// -- asking -----------------------------------------------------------------------------------------------------

async function begin() {
  await told(async () => {
    known = await get("/api/advice");
    answers = { ...known.kept };
    show();
    await refine();
  });
}

async function refine() {
  request?.abort();
  request = new AbortController();
  const situation = { ...known.around, ...answers };
  await told(async () => {
    const advice = await (await post("/api/advice", { answers: situation }, request.signal)).json();
    advised.replaceChildren(...adviceView(advice).filter(Boolean));
    soFar.replaceChildren(h("a", { href: "#headline" }, advice.headline));
  });
}

async function keep() {
  await told(async () => {
    const reply = await (await post("/api/advice/keep", { answers })).json();
    kept.textContent = `${countOf(reply.kept, "answer")} kept.`;
  });
}

async function told(action) {
  try {
    await action();
    problem.replaceChildren();
  } catch (error) {
    if (error.name === "AbortError") return;
    problem.replaceChildren(h("p", { class: "problem", role: "alert" }, userText(error.message)));
  }
}

function answer(name, value) {
  if (value === undefined) delete answers[name];
  else answers[name] = value;
  kept.textContent = "";
  refine();
}

function startOver() {
  answers = {};
  kept.textContent = "";
  show();
  refine();
}

// -- the questions ----------------------------------------------------------------------------------------------

function show() {
  place.replaceChildren(
    h("form", { class: "questions", "aria-label": "Questions", onsubmit: (event) => event.preventDefault() },
      h("details", { class: "seen" }, h("summary", null, `What this folder shows (${known.seen.length})`), bullets(known.seen)),
      known.questions.map(questionView),
      h("details", { id: "further" }, h("summary", null, countOf(known.further.length, "more question")), known.further.map(questionView)),
      h("p", { class: "keep" },
        h("button", { type: "button", class: "primary", onclick: keep }, "Keep these answers"), " ",
        h("button", { type: "button", class: "quiet", onclick: startOver }, "Start over"), " ", kept),
      h("p", { class: "soft small" }, "Kept where ", h("code", null, "groundtune advise"),
        " keeps them; every comparison then says which guides were right.")),
    advised, soFar);
}

function questionView({ name, text, choices: options }) {
  const present = answers[name];
  const seen = known.around[name];
  const listed = options.map(({ label, value }) => [label, value]);
  if (isKnown(present) && !listed.some(([, value]) => same(value, present))) listed.unshift([valueText(present), present]);
  listed.push([isKnown(seen) ? `As seen here: ${typeof seen === "number" ? withUnit(name, seen) : labelOf(name, seen)}` : "I do not know", undefined]);
  return h("fieldset", { class: "question", id: `q-${name}` }, h("legend", null, text),
    h("div", { class: "options" }, listed.map(([label, value]) => h("label", { class: value === undefined ? "option open" : "option" },
      h("input", { type: "radio", class: "hidden", name: `q-${name}`, checked: same(value, present),
        onchange: () => answer(name, value) }), h("span", null, label)))));
}

function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

function questionOf(name) {
  return [...known.questions, ...known.further].find((question) => question.name === name);
}

/** An answer in the words of its question, or as it is. */
function labelOf(name, value) {
  return questionOf(name)?.choices.find((choice) => same(choice.value, value))?.label ?? valueText(value);
}

function valueText(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.join(" and ");
  return typeof value === "number" ? integer(value) : String(value);
}

function withUnit(name, value) {
  const units = { latency_seconds: "seconds", document_tokens: "tokens" };
  return [valueText(value), ownValue(units, name)].filter(Boolean).join(" ");
}

/** A link to a question that opens the fold around it. */
function questionLink(name) {
  const go = (event) => {
    event.preventDefault();
    const question = document.getElementById(`q-${name}`);
    const fold = question.closest("details");
    if (fold) fold.open = true;
    question.scrollIntoView({ block: "center" });
    (question.querySelector("input:checked") ?? question.querySelector("input")).focus({ preventScroll: true });
  };
  return h("a", { href: `#q-${name}`, onclick: go }, questionOf(name)?.text ?? readable(name));
}

// -- the advice -------------------------------------------------------------------------------------------------

function adviceView(advice) {
  const { recommendation } = advice;
  return [
    h("div", { class: "headline" },
      h("p", { class: "kicker" }, firmness(recommendation)),
      h("h2", { id: "headline", tabindex: "-1" }, advice.headline)),
    sourced(recommendation.reasons),
    recommendation.against_training_now.length
      ? part("against", "Something speaks for training, but not now", sourced(recommendation.against_training_now)) : null,
    part("steps", "Steps", h("ol", { class: "steps-list" }, recommendation.steps.map((step) => userText(step, "li")))),
    flipsPart("open", "It would change with an answer that is still open", recommendation.flips.filter((flip) => !flip.known)),
    flipsPart("other", "It would change if an answer were different", recommendation.flips.filter((flip) => flip.known)),
    part("guides", "What the guides say of your situation", guideTable(advice.guides), agreement(advice)),
    measuredPart(),
    advice.conflicts.length ? part("conflicts", "Where they contradict each other", h("ul", { class: "points" },
      advice.conflicts.map(({ text, side }) => h("li", null, userText(text), " ", userText(side, "span", { class: "soft" }))))) : null,
    advice.mistakes.length ? part("mistakes", "Mistakes that are near", sourced(advice.mistakes)) : null,
    advice.options.length ? part("options", "Options that the guides do not know", sourced(advice.options)) : null,
    part("prices", "Cost and time, as the guides put it", h("ul", { class: "points" },
      advice.costs.map(({ guide, says }) => h("li", null, h("b", null, userText(guide), ": "), userText(says))))),
    part("next", "Measure next", h("ol", { class: "commands" }, known.next.map((command) => h("li", null, h("code", null, command))))),
  ];
}

function part(id, title, ...children) {
  return h("section", { "aria-labelledby": id }, h("h3", { id }, title), children);
}

function firmness(recommendation) {
  const count = recommendation.hangs_on.length;
  return count ? `Hangs on ${countOf(count, "answer")}` : "No single other answer would change it";
}

/** Texts with their source below each. */
function sourced(entries) {
  return entries.length ? h("ul", { class: "points" }, entries.map(({ text, source }) =>
    h("li", null, marked(text), source ? h("small", { class: "soft from" }, userText(source)) : null))) : null;
}

/** A text with its names of commands and approaches, which stand between backticks, as code. */
function marked(text) {
  return text.split("`").map((piece, at) => (at % 2 ? h("code", null, piece) : userText(piece)));
}

/** One line for each question: the other answers, by what they lead to. */
function flipsPart(id, title, flips) {
  if (!flips.length) return null;
  const lines = [...new Set(flips.map((flip) => flip.question))].map((name) => {
    const of = flips.filter((flip) => flip.question === name);
    const outcomes = [...new Set(of.map((flip) => flip.approach))].map((approach) => h("span", { class: "outcome-line" },
      of.filter((flip) => flip.approach === approach).map((flip) => labelOf(name, flip.answer)).join(" or "),
      " → ", h("b", null, FAMILIES[approach])));
    return h("li", null, questionLink(name), outcomes);
  });
  return part(id, title, h("ul", { class: "points flips" }, lines));
}

function guideTable(guides) {
  const judged = known.measured?.judged;
  return table("What the guides say", ["guide", "says", ...(judged ? ["by the figures here"] : []), "because"], guides.map((guide) => [
    [userText(guide.guide, "b"), h("small", null, userText(guide.title), guide.source ? [", ", userText(guide.source)] : null)],
    [guide.says, guide.by_default && guide.says !== "undecided" ? h("small", null, "by default") : null],
    ...(judged ? [ownValue(judged, guide.says) ?? "–"] : []),
    [userText(guide.because), guide.place ? h("small", null, userText(guide.place)) : null,
      guide.remarks.map((remark) => h("small", null, "also: ", userText(remark)))],
  ]));
}

/** Which guides say the same and which say otherwise, those that say it by default left out. */
function agreement({ guides, recommendation }) {
  const others = new Map();
  for (const { guide, says, by_default: byDefault } of guides) {
    if (!byDefault && says !== recommendation.approach) others.set(says, [...(others.get(says) ?? []), guide]);
  }
  const parts = [`the same: ${recommendation.agreeing_guides.join(", ") || "none"}`,
    ...[...others].map(([says, names]) => `${says}: ${names.join(", ")}`)];
  return h("p", { class: "soft small" }, `For a reason, not by default, say ${parts.join("; ")}.`);
}

function measuredPart() {
  const { measured } = known;
  if (!measured) return null;
  if (measured.problem) return part("measured", "What was measured here", h("p", { class: "soft" }, userText(measured.problem)));
  return part("measured", "What was measured here", h("p", null, userText(measured.sentence), " ",
    h("a", { href: `/runs/${encodeURIComponent(measured.run)}` }, "The comparison")));
}

begin();
