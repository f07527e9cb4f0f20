// The list of comparisons. Whether a verdict still holds is asked once its row is in sight, one row after another.

const list = document.getElementById("runs");
const waiting = [];
let asking = false;

async function showRuns() {
  try {
    const { runs } = await get("/api/runs");
    list.replaceChildren(runs.length ? runTable(runs) : noRuns());
  } catch (error) {
    list.replaceChildren(h("p", { class: "problem", role: "alert" }, userText(error.message)));
  }
}

function noRuns() {
  return h("p", { class: "empty" }, "There is no comparison yet. Start one with ", h("code", null, "groundtune compare"), ".");
}

function runTable(runs) {
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      waiting.push(target);
    }
    askStates();
  }, { rootMargin: "600px" });
  return table("Runs, the newest first", ["run", "verdict", { label: "examples", number: true }, "state"],
    runs.map((run) => {
      const state = h("div", { class: "run-state" }, run.sentence ? "checking …" : unverifiable(run));
      if (run.sentence) {
        state.dataset.run = run.name;
        seen.observe(state);
      }
      return [
        [h("a", { href: `/runs/${encodeURIComponent(run.name)}` }, dateOf(run)), h("small", null, userText(run.name))],
        run.problem ? userText(run.problem, "span", { class: "soft" })
          : run.sentence ? userText(run.sentence, "span", { class: "found-sentence" }) : h("span", { class: "soft" }, "No verdict was recorded."),
        [integer(run.n), run.split ? h("small", null, run.split) : null],
        state,
      ];
    }));
}

function dateOf(run) {
  return run.started ? dateTime(run.started) : run.name;
}

function unverifiable(run) {
  if (run.problem) return "cannot be read";
  return run.complete ? "not recorded" : "incomplete";
}

async function askStates() {
  if (asking) return;
  asking = true;
  for (let place = waiting.shift(); place; place = waiting.shift()) {
    try {
      place.replaceChildren(...stateView(await get(`/api/runs/${encodeURIComponent(place.dataset.run)}/state`)));
    } catch (error) {
      place.replaceChildren("unknown", h("small", null, userText(error.message)));
    }
  }
  asking = false;
}

function stateView(state) {
  if (state.holds) return [h("span", { class: "badge holds" }, "holds")];
  const reasons = state.stale.map(({ sentence, command }) => {
    const [run, ...note] = command.split(": ");
    return h("li", null, userText(sentence), h("br"), h("code", null, run), note.length ? `: ${note.join(": ")}` : null);
  });
  return [
    h("span", { class: "badge" }, state.follows ? "stale" : "no longer follows"),
    state.follows ? null : h("small", null, "Now: ", userText(state.recomputed.sentence)),
    reasons.length ? h("details", null, h("summary", null, countOf(reasons.length, "change")), h("ul", { class: "points" }, reasons)) : null,
  ].filter(Boolean);
}

showRuns();
