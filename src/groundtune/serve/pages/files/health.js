// What an operator looks at each morning. The parts that take longer come by themselves.

const sentence = document.getElementById("sentence");
const needs = new Map();
const OLD_DAYS = 2;

/** One thing that somebody should look at; null takes it back. */
function need(name, text, command = null, link = null) {
  if (text) needs.set(name, { text, command, link });
  else needs.delete(name);
  const listed = [...needs.values()];
  document.getElementById("needs").replaceChildren(...(listed.length ? [h("ul", { class: "needs" }, listed.map((each) =>
    h("li", null, userText(each.text), each.command ? [" ", h("code", null, each.command)] : null,
      each.link ? [" ", h("a", { href: each.link }, "Look")] : null)))] : []));
}

async function load() {
  let health;
  try {
    health = await get("/api/health");
  } catch (error) {
    sentence.textContent = "Nothing can be told.";
    document.getElementById("view").replaceChildren(h("p", { class: "problem", role: "alert" }, userText(error.message)));
    return;
  }
  judge(health);
  document.getElementById("view").replaceChildren(...[
    trafficView(health.traffic),
    h("div", { class: "panels" },
      panel("Choice and verdict", choiceView(health.choice), h("div", { id: "verdict" }, waiting())),
      panel("Index", indexView(health.index)),
      panel("Spending", spendingView(health.spending)),
      panel("Models", modelsView(health.models)),
      panel("Review", reviewView(health.review, health.recorded)),
      panel("Drift", driftView(health.drift), canaryView(health.canary))),
    h("section", { class: "part" }, h("h2", null, "Before others rely on it"), h("div", { id: "ship" }, waiting())),
    h("p", { class: "soft small" }, `As of ${dateTime(health.now)}. `, h("a", { href: location.pathname }, "Look again")),
  ]);
  await Promise.all([later("/api/health/verdict", "verdict", verdictView), later("/api/health/ship", "ship", shipView)]);
  conclude(health);
}

function waiting() {
  return h("p", { class: "busy soft" }, "Looking…");
}

async function later(path, id, draw) {
  const target = document.getElementById(id);
  try {
    target.replaceChildren(...drawn(await get(path), draw));
  } catch (error) {
    target.replaceChildren(h("p", { class: "problem" }, userText(error.message)));
  }
}

/** What a part shows, or why it cannot be read. */
function drawn(part, draw) {
  return [part?.problem ? h("p", { class: "soft" }, userText(`${part.problem[0].toUpperCase()}${part.problem.slice(1)}.`)) : draw(part)].flat(Infinity).filter(Boolean);
}

function panel(title, ...content) {
  return h("section", { class: "panel" }, h("h2", null, title), content);
}

function conclude({ ready }) {
  sentence.textContent = `${ready ? "Ready to answer" : "Not ready to answer"}${needs.size ? `; ${needs.size === 1 ? "one thing needs" : `${needs.size} things need`} a look.` : "."}`;
}

/** Say what needs a look. */
function judge(health) {
  const { traffic, spending, index, review, drift, canary, models } = health;
  need("ready", health.ready ? null : `The choice cannot be asked: ${health.lacks ?? "the log says why"}.`, "groundtune check");
  need("file", health.trouble ? `groundtune.toml has a mistake, and the one before is used: ${health.trouble}.` : null, "groundtune check");
  for (const model of models) need(`model ${model.name}`, model.open ? `${model.model ?? model.name} is left alone, because it keeps failing.` : null);
  if (isKnown(index?.files)) {
    need("failed", index.states.failed ? `${countOf(index.states.failed, "file")} could not be read.` : null, null, "/documents?state=failed");
  }
  if (isKnown(spending?.budget)) {
    const share = spending.usd / spending.budget;
    need("budget", !spending.is_enforceable ? "The budget of the day cannot be kept: nobody knows what answers cost."
      : share >= 0.8 ? `${percent(share)} of the budget of today is spent.` : null);
  }
  need("broken", traffic?.day?.broken_off ? `${countOf(traffic.day.broken_off, "answer")} broke off in the last 24 hours.` : null);
  need("stood in", traffic?.day?.stood_in ? `Another approach stood in for ${countOf(traffic.day.stood_in, "answer")} in the last 24 hours.` : null);
  need("review", review?.oldest && daysSince(review.oldest, health.now) > OLD_DAYS
    ? `${countOf(review.waiting, "answer")} wait for a person, the oldest for ${ago(review.oldest, health.now)}.` : null, null, "/review");
  need("drift", drift?.changed?.length ? `Drift: ${drift.summary}.` : null, drift?.commands?.[0]);
  need("canary", canary?.last && !canary.last.passed ? "The canary set did not pass." : null, "groundtune drift");
  conclude(health);
}

// -- traffic ----------------------------------------------------------------------------------------------------

function trafficView(traffic) {
  return h("section", { class: "part" }, h("h2", null, "Answers"), drawn(traffic, ({ day, week, days }) => h("div", { class: "beside" },
    table("Answers of the last day and week", [{ label: "Figure", node: screenReaderText("Figure") }, { label: "Last 24 hours", number: true }, { label: "Last 7 days", number: true }], [
      ["Answers", integer(day.answers), integer(week.answers)],
      ["Not in the documents", share(day.abstained, day.answers), share(week.abstained, week.answers)],
      ["With a sentence that no passage supports", share(day.unsupported, day.answers), share(week.unsupported, week.answers)],
      ["Given by another approach that stood in", share(day.stood_in, day.answers), share(week.stood_in, week.answers)],
      ["Broken off", integer(day.broken_off), integer(week.broken_off)],
      ["Helpful, not helpful", thumbs(day), thumbs(week)],
      ["Half took at most", time(day.p50_seconds), time(week.p50_seconds)],
      ["95% took at most", time(day.p95_seconds), time(week.p95_seconds)],
    ]),
    bars("Answers a day", days.map((each) => ({ label: each.day, parts: [each.answered, each.abstained, each.broken_off] })),
      ["answered", "not in the documents", "broken off"], integer))));
}

function share(part, whole) {
  return whole ? [integer(part), h("small", null, percent(part / whole))] : "–";
}

function thumbs({ up, down }) {
  return up + down ? `${integer(up)}, ${integer(down)}` : "–";
}

function time(value) {
  return isKnown(value) ? seconds(value) : "–";
}

/** A bar for each day, its parts one upon the other: [{label, parts}]. Of many days only some are named. */
function bars(title, days, names, text) {
  const many = days.length > 8;
  const width = many || innerWidth < 700 ? 330 : 560;
  const [height, step] = [132, width / days.length];
  const sums = days.map(({ parts }) => parts.reduce((sum, part) => sum + part, 0));
  const most = Math.max(...sums);
  if (!most) return null;
  const isNamed = (at) => !many || (sums[at] === most && at > 0 && at < days.length - 1);
  const caption = `${title}, ${dayName(days[0].label)} to ${dayName(days.at(-1).label)}`;
  const scale = (height - 34) / most;
  const marks = days.flatMap(({ label, parts }, at) => {
    let top = height - 18;
    const stack = parts.map((part, kind) => {
      top -= part * scale;
      return part ? svg("rect", { class: `bar-${kind}`, x: at * step + step * 0.2, y: top, width: step * 0.6, height: Math.max(1, part * scale) }) : null;
    });
    const middle = { x: (at + 0.5) * step, "text-anchor": "middle" };
    return [...stack, sums[at] && isNamed(at) ? svg("text", { ...middle, y: top - 4, class: "label" }, text(sums[at])) : null,
      many && at % 2 === 0 ? null : svg("text", { ...middle, y: height - 3 }, label.slice(8))];
  });
  const told = days.map(({ label, parts }) => `${label}: ${parts.map((part, kind) => `${text(part)} ${names[kind]}`).join(", ")}`);
  const legend = names.length > 1 ? h("ul", { class: "legend" }, names.map((name, kind) =>
    h("li", null, svg("svg", { width: 12, height: 12, "aria-hidden": "true" }, svg("rect", { class: `bar-${kind}`, width: 12, height: 12 })), name))) : null;
  return h("figure", { class: "bars" }, h("figcaption", { class: "soft small" }, caption),
    svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}. ${told.join("; ")}` }, marks.filter(Boolean)), legend);
}

function dayName(iso) {
  return dateTime(iso).split(" ").slice(0, 2).join(" ");
}

// -- panels -----------------------------------------------------------------------------------------------------

function choiceView(choice) {
  return drawn(choice, ({ approach, run, time: when }) => h("p", null, userText(approach, "b"),
    when ? [`, chosen on ${date(when)} `, run ? ["by the verdict of ", userText(run)] : "by hand"] : ", the usual one of this task", "."));
}

function verdictView(verdict) {
  need("verdict", verdict.holds ? null : `The verdict of ${verdict.run} does not hold any more.`, verdict.stale[0]?.command.split(":")[0]);
  return [
    h("p", null, h("span", { class: "status" }, verdict.holds ? "✓ It still holds. " : "✗ It does not hold any more. "), userText(verdict.sentence, "span", { class: "soft" })),
    verdict.stale.length ? h("ul", { class: "points" }, verdict.stale.map((each) => h("li", null, userText(each.sentence), h("small", { class: "soft" }, each.command)))) : null,
  ];
}

function indexView(index) {
  return drawn(index, ({ files, states, notes, passages, changed, version }) => [
    h("p", null, h("b", null, countOf(files, "file")), `, ${countOf(passages, "passage")}`, changed ? `, last changed on ${dateTime(changed)}` : "", "."),
    h("ul", { class: "points" },
      h("li", null, h("a", { href: "/documents?state=indexed" }, `${integer(states.indexed)} indexed`), notes ? [", ", h("a", { href: "/documents?state=notes" }, `${integer(notes)} with notes`)] : null),
      states.skipped ? h("li", null, h("a", { href: "/documents?state=skipped" }, `${integer(states.skipped)} skipped`)) : null,
      states.failed ? h("li", null, h("a", { href: "/documents?state=failed" }, `${integer(states.failed)} failed`)) : null),
    h("p", { class: "soft small" }, "State ", userText(version, "code")),
  ]);
}

function spendingView(spending) {
  return drawn(spending, (spent) => [
    h("p", null, h("b", null, usd(spent.usd)), " today", isKnown(spent.budget) ? ` of ${usd(spent.budget)}, then ${spent.when_spent === "stop" ? "requests are refused" : "the last fallback answers"}` : "; no budget is set", "."),
    isKnown(spent.budget) ? gauge(spent.usd / spent.budget, "of the budget of today is spent") : null,
    spent.unknown ? h("p", { class: "soft small" }, `${countOf(spent.unknown, "answer")} of unknown cost, counted as ${isKnown(spent.estimate) ? usd(spent.estimate) : "nothing"} each.`) : null,
    bars("US dollars a day", spent.days.map((day) => ({ label: day.day, parts: [day.usd] })), ["US dollars"], usd),
  ]);
}

/** A share as a bar, which says so too. */
function gauge(share, of) {
  return svg("svg", { class: "gauge", viewBox: "0 0 100 3", preserveAspectRatio: "none", role: "img", "aria-label": `${percent(share)} ${of}` },
    svg("rect", { class: "gauge-whole", width: 100, height: 3 }), svg("rect", { class: "bar-0", width: 100 * Math.min(1, share), height: 3 }));
}

function modelsView(models) {
  if (!models.length) return h("p", { class: "soft" }, "No model: answers are verbatim quotes.");
  return h("ul", { class: "points" }, models.map((model) => h("li", null, userText(model.name, "b"), " ", userText(model.model ?? model.kind, "span", { class: "soft" }),
    h("small", { class: "soft" }, model.open ? "✗ left alone: it keeps failing" : model.open === false ? "✓ it answers" : "not watched: no approach with [fallback] asked it since the start"))));
}

function reviewView(review, recorded) {
  if (!recorded) return h("p", { class: "soft" }, "No answer is recorded, so none can be reviewed.");
  return drawn(review, ({ waiting: number, oldest }) => h("p", null, number
    ? [h("b", null, countOf(number, "answer")), ` ${number === 1 ? "waits" : "wait"} for a person, the oldest since ${date(oldest)}. `, h("a", { href: "/review" }, "Review")]
    : "Nothing waits."));
}

function driftView(drift) {
  return drawn(drift, (kept) => kept
    ? h("p", null, h("span", { class: "status" }, kept.changed.length ? "✗ " : "✓ "), userText(kept.summary), h("span", { class: "soft" }, `, on ${date(kept.time)}, from ${countOf(kept.recent, "answer")} of ${countOf(kept.days, "day")}.`))
    : h("p", { class: "soft" }, "Never measured. ", h("code", null, "groundtune drift")));
}

function canaryView(canary) {
  return drawn(canary, (kept) => {
    if (!kept) return h("p", { class: "soft" }, "No canary set. ", h("code", null, "[drift] canary = 20"));
    if (!kept.frozen) return h("p", { class: "soft" }, "The canary set was not asked yet. ", h("code", null, "groundtune drift"));
    if (!kept.last) return h("p", { class: "soft" }, `Canary: ${countOf(kept.answers, "answer")} frozen on ${date(kept.frozen)}, not asked again yet. `, h("code", null, "groundtune drift"));
    const { last } = kept;
    const scores = isKnown(last.now) ? `, score ${figure(last.before, 3)} then and ${figure(last.now, 3)} now` : "";
    return h("p", null, h("span", { class: "status" }, last.passed ? "✓ " : "✗ "),
      `Canary on ${date(last.time)}: ${integer(last.changed)} of ${countOf(last.n + last.failed, "answer")} changed${scores}${last.failed ? `, ${integer(last.failed)} failed` : ""}.`);
  });
}

function shipView(report) {
  return [h("ul", { class: "ship" }, report.items.map((item) => h("li", { class: item.ready ? "ready" : "missing" },
    h("span", { class: "tick", "aria-hidden": "true" }, item.ready ? "✓" : "✗"),
    h("div", null, h("b", null, readable(item.name)), screenReaderText(item.ready ? ": in place. " : ": missing. "), " ", userText(item.message, "span", { class: "soft" }),
      item.ready || !item.hint ? null : userText(item.hint, "code"))))),
  h("p", { class: "soft small" }, "The same as ", h("code", null, "groundtune check --ship"), ".")];
}

function date(iso) {
  return dateTime(iso).split(",")[0];
}

function daysSince(iso, now) {
  return (new Date(now) - new Date(iso)) / 86_400_000;
}

function ago(iso, now) {
  return countOf(Math.floor(daysSince(iso, now)), "day");
}

load();
