// The page on which operators set up the project: steps with their states, and the command that runs, while it runs.

const [list, problem, spoken] = ["steps", "problem", "status"].map((id) => document.getElementById(id));
const POLL_MS = 700;
const SIGNS = { done: "✓", next: "→", waiting: "·", trouble: "!" };
const WORDS = { done: "done", next: "can be done now", waiting: "waits", trouble: "needs something" };
const OUTCOMES = { done: "done", failed: "failed", stopped: "stopped", lost: "end unknown" };

/** Files of examples that commands write, where the project names no other. */
const WRITTEN = { draft: "drafted.jsonl", import: "examples.jsonl" };

/** Title, commands and controls of each step, in the server's order. */
const STEPS = {
  project: { title: "The project", commands: ["get-model"], controls: projectControls },
  check: { title: "Check", commands: ["check"], controls: checkControls },
  documents: { title: "Read the documents", commands: ["ingest"], controls: documentControls },
  ask: { title: "Ask a question", commands: [], controls: askControls },
  examples: { title: "Examples", commands: ["draft", "import"], controls: exampleControls },
  compare: { title: "Compare the approaches", commands: ["estimate", "compare"], controls: compareControls },
  use: { title: "Use one", commands: ["use"], controls: useControls },
};
/** What somebody entered, kept while the steps are drawn again. */
const entered = { number: "60", byModel: false, budget: "", approach: "" };

let state = null;
let running = null;
let busy = false;

// -- doing ------------------------------------------------------------------------------------------------------

/** Do one thing at a time, and show what went wrong with it. */
async function work(action) {
  if (busy) return;
  busy = true;
  problem.replaceChildren();
  try {
    await action();
  } catch (error) {
    problem.replaceChildren(h("p", { class: "problem", role: "alert" }, userText(error.message)));
    problem.scrollIntoView({ block: "nearest" });
  } finally {
    busy = false;
  }
}

async function load() {
  state = await get("/api/setup");
  running = Object.values(state.jobs).find((job) => job.state === "running") ?? null;
  show();
  if (running) setTimeout(watch, POLL_MS);
}

const start = (command, more = {}) => work(() => begin(command, more));

async function begin(command, more = {}) {
  const job = await (await post("/api/setup/jobs", { command, ...more })).json();
  state.jobs[command] = running = job;
  say(`${job.words} runs.`);
  show();
  setTimeout(watch, POLL_MS);
}

const stop = () => work(async () => {
  await post(`/api/setup/jobs/${running.id}/stop`, {});
  say("It is asked to stop.");
});

/** Follow the job that runs, and look at everything again once it has ended. */
async function watch() {
  if (!running) return;
  try {
    const job = await get(`/api/setup/jobs/${running.id}`);
    state.jobs[job.command] = running = job;
    if (job.state === "running") {
      document.getElementById("running")?.replaceWith(jobView(job));
    } else {
      say(`${job.words}: ${OUTCOMES[job.state]}.`);
      if (job.state === "done" && ownValue(WRITTEN, job.command)) await useWritten(WRITTEN[job.command]);
      return await load();
    }
  } catch {
    say("The server cannot be reached; trying again."); // it may be starting again: the job goes on or is told of
  }
  setTimeout(watch, POLL_MS);
}

/** Have the project use the examples that a job has written, if it does not name their file yet. */
async function useWritten(file) {
  const { steps } = await get("/api/setup");
  const { unused } = steps.find((step) => step.id === "examples").offers;
  if (unused.includes(file)) await post("/api/setup/examples", { file });
}

async function put(path, file) {
  return (await replied(fetch(path, { method: "PUT", body: file }))).json();
}

const uploadDocuments = (files) => work(async () => {
  for (const [at, file] of files.entries()) {
    say(`Sending ${file.name}, ${at + 1} of ${files.length}…`);
    await uploadDocument(file);
  }
  say(`${countOf(files.length, "document")} sent.`);
  await load();
  await begin("ingest");
});

async function uploadDocument(file) {
  const path = `/api/setup/documents/${encodeURIComponent(file.name)}`;
  try {
    await put(path, file);
  } catch (error) {
    if (error.code !== "exists" || !confirm(`${error.message}. Replace it?`)) throw error;
    await put(`${path}?replace=true`, file);
  }
}

const uploadExamples = (file) => work(async () => {
  say(`Sending ${file.name}…`);
  const kept = await put(`/api/setup/examples/${encodeURIComponent(file.name)}`, file);
  await begin("import", { file: kept.file });
});

const useFile = (file) => work(async () => {
  await post("/api/setup/examples", { file });
  await load();
});

function say(text) {
  spoken.textContent = text;
}

// -- showing ----------------------------------------------------------------------------------------------------

function show() {
  const focused = document.activeElement?.id;
  list.replaceChildren(...state.steps.map(stepView));
  if (state.trouble) problem.replaceChildren(h("p", { class: "problem" }, userText(state.trouble)));
  if (focused) document.getElementById(focused)?.focus();
}

function stepView(step, at) {
  const { title, commands, controls } = STEPS[step.id];
  const [job] = commands.map((command) => state.jobs[command]).filter(Boolean).sort((a, b) => (a.id < b.id ? 1 : -1));
  return h("li", { class: `step ${step.state}`, id: `step-${step.id}` },
    h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[step.state]),
    h("div", { class: "body" },
      h("h2", null, `${at + 1}. ${title}`, " ", h("small", null, job?.state === "running" ? "runs now" : WORDS[step.state])),
      step.told.map((text) => userText(text, "p")),
      step.missing ? userText(step.missing, "p", { class: step.state === "trouble" ? "notice" : "soft" }) : null,
      controls(step),
      job ? jobView(job) : null));
}

function jobView(job) {
  if (job.state === "running") {
    return h("div", { class: "job", id: "running" },
      h("p", null, h("code", null, job.words), ` runs for ${duration(job)}.`),
      h("div", { class: "buttons" }, progressBar(job), button("stop", "Stop", stop, false)),
      outputView(job, true));
  }
  const errors = errorsOf(job);
  return h("div", { class: "job" },
    errors.length ? h("div", { class: "problem" }, errors.map((line) => userText(line, "p"))) : null,
    job.told ? h("p", null, job.told) : null,
    job.command === "estimate" && job.result?.estimates ? estimateView(job.result) : null,
    job.lines.length ? h("details", null,
      h("summary", null, h("code", null, job.words), `: ${outcome(job)}, ${dateTime(job.started)}`),
      outputView(job, false)) : h("p", { class: "soft small" }, h("code", null, job.words), `: ${outcome(job)}, ${dateTime(job.started)}`));
}

/** A check that found something did what it should. Exit code 1 is a result that nobody wished for. */
function outcome(job) {
  if (job.result?.findings) return OUTCOMES.done;
  return job.state === "failed" && job.code === 1 ? "ended without success" : OUTCOMES[job.state];
}

function duration(job) {
  const passed = Math.max(0, Math.round((Date.now() - new Date(job.started)) / 1000));
  return passed < 60 ? `${passed} s` : `${Math.floor(passed / 60)} min ${passed % 60} s`;
}

function progressBar({ progress }) {
  if (!progress) return h("progress", { "aria-label": "Progress" });
  const { title, done, total, now } = progress;
  const known = isKnown(total) && total > 0;
  return [h("progress", { "aria-label": `Progress: ${title}`, max: known ? total : null, value: known ? done : null }),
    h("span", { class: "soft small" }, `${title}: ${integer(done)}${known ? ` of ${integer(total)}` : ""}`, isKnown(now) ? [", ", userText(now)] : null)];
}

function outputView(job, follows) {
  if (!job.lines.length) return null;
  const output = h("pre", { class: "output", tabindex: "0", role: "region", "aria-label": `Output of ${job.words}` }, job.lines.join("\n"));
  if (follows) requestAnimationFrame(() => { output.scrollTop = output.scrollHeight; });
  return output;
}

/** The lines that say what went wrong and how to mend it. */
function errorsOf(job) {
  if (job.state !== "failed") return [];
  if (job.result?.error) return [job.result.error.message, job.result.error.hint].filter(Boolean);
  const first = job.lines.findIndex((line) => line.startsWith("error: "));
  return first < 0 ? [] : job.lines.slice(first).filter(Boolean);
}

// -- the controls of each step ----------------------------------------------------------------------------------

function button(id, label, act, primary = true, disabled = false) {
  return h("button", { type: "button", id, class: primary ? "primary" : "quiet", onclick: act, disabled }, label);
}

/** A button that starts a command; it waits while another runs. The first step that can be done has the one to press. */
function starter(step, command, label, more = () => ({})) {
  const first = state.steps.find((each) => each.state === "next" || each.state === "trouble");
  const primary = step === first && command !== "estimate";
  return button(`start-${command}`, label, () => start(command, more()), primary, Boolean(running));
}

/** A link to another page of the server, where the navigation has it. */
function pageLink(path, label) {
  const page = `/${path.split("/")[1]}`;
  return document.querySelector(`nav a[href="${page}"]`) ? h("a", { href: path }, label) : null;
}

function fileButton(id, label, pick, multiple) {
  return h("label", { class: "file quiet" }, label,
    h("input", { type: "file", id, multiple, disabled: Boolean(running), onchange: (event) => {
      const files = [...event.target.files];
      if (files.length) pick(files);
    } }));
}

function projectControls(step) {
  const { model } = step.offers;
  return model ? h("div", { class: "buttons" }, starter(step, "get-model", `Get ${model}`)) : null;
}

function checkControls(step) {
  const { state: now, offers } = step;
  return [
    offers.findings?.length ? h("ul", { class: "findings" }, offers.findings.map((finding) => h("li", { class: finding.level },
      h("b", null, finding.level, ": "), userText(finding.place, "span", { class: "source" }), ": ", userText(finding.message),
      finding.hint ? userText(finding.hint, "small") : null))) : null,
    h("div", { class: "buttons" }, starter(step, "check", now === "next" ? "Check" : "Check again")),
  ];
}

function documentControls(step) {
  const { state: now, offers, told } = step;
  const label = now === "done" || told.length > 1 ? "Look for changes" : "Read the documents";
  return h("div", { class: "buttons" },
    now === "trouble" ? null : starter(step, "ingest", label),
    fileButton("documents", "Upload documents", uploadDocuments, true),
    pageLink("/documents", "See the documents"),
    h("span", { class: "soft small" }, `up to ${integer(offers.limit)} MB each`));
}

function askControls({ state: now }) {
  return now === "waiting" ? null : h("p", null, h("a", { href: "/" }, "Ask the documents"));
}

function exampleControls(step) {
  const { offers } = step;
  return [
    offers.unused.map((file) => h("p", null, h("bdi", { class: "source" }, file), " lies in the project and is not used. ",
      button(`use-${file}`, "Use it", () => useFile(file), false))),
    h("div", { class: "buttons" },
      offers.draftable ? [
        h("label", { class: "field" }, h("span", null, "Drafts"),
          h("input", { id: "number", type: "number", min: "10", max: "500", value: entered.number,
            oninput: (event) => { entered.number = event.target.value; } })),
        starter(step, "draft", "Draft from the documents",
          () => ({ number: Number(entered.number) || 60, by_model: entered.byModel, ...budget() })),
      ] : null,
      fileButton("examples-file", "Upload a file of examples", ([file]) => uploadExamples(file), false),
      pageLink("/examples", "Review them")),
    offers.draftable && offers.writer ? h("label", { class: "ticked" }, h("input", { type: "checkbox", id: "by-model", checked: entered.byModel,
      onchange: (event) => { entered.byModel = event.target.checked; } }), " Have the project's model write the drafts") : null,
  ];
}

function budget() {
  const usd = Number.parseFloat(entered.budget);
  return Number.isFinite(usd) ? { budget_usd: usd } : {};
}

function compareControls(step) {
  const { state: now, offers } = step;
  if (now === "waiting") return null;
  return h("div", { class: "buttons" },
    starter(step, "compare", now === "done" ? "Compare again" : "Compare", budget),
    starter(step, "estimate", "Estimate first"),
    state.hosted ? h("label", { class: "field" }, h("span", null, "At most, in US dollars"),
      h("input", { id: "budget", type: "number", min: "0", step: "0.5", value: entered.budget,
        oninput: (event) => { entered.budget = event.target.value; } })) : null,
    offers.run ? pageLink(`/runs/${encodeURIComponent(offers.run)}`, "Look at the comparison") : null);
}

function estimateView({ estimates, total }) {
  const rows = [...estimates, ...(estimates.length > 1 && total ? [total] : [])];
  return table("Estimate", ["approach", { label: "calls", number: true }, { label: "cost", number: true }, { label: "time", number: true }],
    rows.map((row) => [userText(row.approach), integer(row.calls), usd(row.usd), seconds(row.seconds)]));
}

function useControls(step) {
  const { offers } = step;
  if (!offers.approaches.length) return null;
  const others = offers.approaches.filter((name) => name !== offers.recommended);
  return h("div", { class: "buttons" },
    offers.recommended ? starter(step, "use", `Use ${offers.recommended}, as recommended`) : null,
    others.length ? h("label", { class: "field" }, h("span", null, offers.recommended ? "Or another" : "Approach"),
      h("select", { id: "approach", onchange: (event) => { entered.approach = event.target.value; } },
        others.map((name) => h("option", { value: name, selected: name === entered.approach }, name)))) : null,
    others.length ? button("use-other", "Use it", () => start("use", { approach: document.getElementById("approach").value }),
      false, Boolean(running)) : null);
}

work(load);
