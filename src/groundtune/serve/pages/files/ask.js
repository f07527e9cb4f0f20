// The page to ask on: sends a question, shows the answer while it is written, and keeps the conversation for the next.

const turns = document.getElementById("turns");
const form = document.getElementById("ask");
const question = document.getElementById("question");
const send = document.getElementById("send");
const model = document.getElementById("model");
const spoken = document.getElementById("status");

const history = [];
let running = null;

// -- asking -----------------------------------------------------------------------------------------------------

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) running.abort();
  else ask(question.value.trim());
});

question.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!running) form.requestSubmit();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !closePassage(true) && running) running.abort();
});

document.addEventListener("click", (event) => {
  if (open?.pinned && !open.card.contains(event.target) && !open.button.contains(event.target)) closePassage();
});

async function ask(text) {
  if (!text) return;
  document.getElementById("intro")?.remove();
  const turn = newTurn(text);
  question.value = "";
  running = new AbortController();
  send.textContent = "Stop";
  try {
    const body = { question: text, history: [...history] };
    if (model.value) body.model = model.value;
    await answer(turn, body, running.signal);
  } catch (error) {
    const stopped = error.name === "AbortError";
    say(turn, stopped ? "Stopped." : "");
    if (!stopped) showProblem(turn, error.message);
  } finally {
    running = null;
    send.textContent = "Ask";
    question.focus();
  }
}

async function answer(turn, body, signal) {
  say(turn, "Searching the documents…", true);
  const reply = await post("/api/ask", body, signal);
  for await (const { name, data } of eventsOf(reply)) {
    if (name === "retrieved") {
      for (const passage of data.passages) embeddedData("passages")[passage.id] = passage;
      turn.passages = data.passages;
    } else if (name === "text") {
      turn.text += data.text;
      say(turn, "Writing…", true);
      draw(turn);
    } else if (name === "citation") {
      turn.citations.push(data);
      draw(turn);
    } else if (name === "reset") {
      turn.text = "";
      turn.citations = [];
      draw(turn);
    } else if (name === "done") {
      finish(turn, data);
      history.push({ role: "user", content: body.question }, { role: "assistant", content: data.text });
      return;
    } else if (name === "error") {
      throw new Error(data.error.message);
    }
  }
  throw new Error("The server ended the answer before it was complete.");
}

/** The server-sent events of a reply: {name, data}. */
async function* eventsOf(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const fields = Object.fromEntries(text.slice(0, end).split("\n").map((line) => {
        const colon = line.indexOf(": ");
        return [line.slice(0, colon), line.slice(colon + 2)];
      }));
      text = text.slice(end + 2);
      yield { name: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

// -- showing ----------------------------------------------------------------------------------------------------

function newTurn(text) {
  const state = h("p", { class: "state" });
  const body = h("div");
  const element = h("article", { class: "turn" }, userText(text, "h2"), state, body);
  turns.append(element);
  element.scrollIntoView({ block: "start" });
  return { element, state, body, text: "", citations: [], passages: [], drawing: 0 };
}

function say(turn, text, busy = false) {
  if (turn.state.textContent !== text) spoken.textContent = text;
  turn.state.textContent = text;
  turn.state.classList.toggle("busy", busy);
}

/** Draw the text so far, once a frame. */
function draw(turn) {
  cancelAnimationFrame(turn.drawing);
  turn.drawing = requestAnimationFrame(() => {
    closePassage();
    turn.body.replaceChildren(citedText(turn.text, turn.citations, []));
  });
}

function finish(turn, done) {
  cancelAnimationFrame(turn.drawing);
  closePassage();
  say(turn, "");
  spoken.textContent = done.status === "abstained" ? "Not in your documents." : "The answer is complete.";
  turn.state.remove();
  const shown = done.held ? waitingForReview(turn, done) : done.status === "abstained" ? abstention(done) : [
    citedText(done.text, done.citations, []), sourcesOf(turn, done)];
  turn.body.replaceWith(...[shown].flat().filter(Boolean), doubtsOf(done), below(turn, done));
}

/** An answer that a person must release first: asked for again until it is. */
function waitingForReview(turn, done) {
  const box = h("section", { class: "abstention", role: "status" }, userText(done.text, "h3"),
    h("p", { class: "soft" }, "It appears here as soon as somebody has looked at it."));
  const look = async () => {
    const reply = await fetch(`/v1/answers/${done.id}`).catch(() => null);
    const now = reply?.ok ? await reply.json() : { state: "pending" };
    if (now.state === "pending") setTimeout(look, 5000);
    else box.replaceChildren(userText(now.text ?? "This answer was not released.", now.text ? "div" : "h3", { class: "answer" }));
  };
  setTimeout(look, 5000);
  return box;
}

/** An answer that the documents do not hold is a result of its own, with what comes nearest. */
function abstention(done) {
  return h("section", { class: "abstention" },
    userText(done.text, "h3"),
    h("p", { class: "soft" }, done.passages.length
      ? "No passage supports an answer. These come nearest; other words may find more."
      : "No passage has anything to do with the question."),
    passageList(done.passages));
}

/** The passages that were found and not cited, folded. */
function sourcesOf(turn, done) {
  const cited = new Set(done.citations.map((citation) => citation.passage_id));
  const others = turn.passages.filter((passage) => !cited.has(passage.id));
  if (!others.length) return null;
  return h("details", null, h("summary", null, `Also found: ${countOf(others.length, "passage")}`), passageList(others));
}

function passageList(passages) {
  return h("ul", { class: "found" }, passages.map((passage) => h("li", null,
    h("a", { href: passage.url }, userText(passage.title)),
    userText(excerpt(passage.text), "blockquote"))));
}

function excerpt(text) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 240 ? `${line.slice(0, 239).trimEnd()}…` : line;
}

function doubtsOf(done) {
  const doubts = [...(done.cut ? [`The answer was cut off at ${done.cut}.`] : []), ...done.warnings];
  return doubts.length ? h("ul", { class: "doubts" }, doubts.map((doubt) => userText(doubt, "li"))) : "";
}

function below(turn, done) {
  const { usage } = done;
  return h("div", { class: "below" },
    userText(done.route.join(" › "), "span"),
    done.degradation ? userText(done.degradation, "span", { class: "badge" }) : null,
    isKnown(usage.seconds) ? h("span", null, seconds(usage.seconds)) : null,
    usage.usd ? h("span", null, usd(usage.usd)) : null,
    thumbs(done));
}

function thumbs(done) {
  const problem = h("span", { role: "alert" });
  const buttons = [["up", "Helpful"], ["down", "Not helpful"]].map(([rating, label]) =>
    h("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: () => rate(rating) }, label));
  async function rate(rating) {
    try {
      await post("/v1/feedback", { answer: done.id, rating });
      buttons.forEach((button, at) => button.setAttribute("aria-pressed", String((at === 0) === (rating === "up"))));
      problem.textContent = "";
    } catch (error) {
      problem.textContent = error.message;
    }
  }
  return h("span", { class: "thumbs", role: "group", "aria-label": "Was this answer helpful?" }, problem, buttons);
}

function showProblem(turn, message) {
  turn.state.remove();
  turn.element.append(h("p", { class: "problem", role: "alert" }, userText(message)));
}

// -- the models -------------------------------------------------------------------------------------------------

async function listModels() {
  const reply = await fetch("/v1/models");
  if (!reply.ok) return;
  const { data } = await reply.json();
  model.append(...data.map(({ id }, at) => h("option", { value: id }, at === 0 ? "the project's choice" : id)));
}

listModels();
question.disabled = false; // what is typed before the page can send it would be lost
question.focus();
