// The verdict: the sentence, why, what would change it, and the figures behind it.

function verdictView(state) {
  return [
    hero(),
    h("div", { class: "columns" },
      VERDICT.reasons?.length ? section("why", "Why", bullets(VERDICT.reasons)) : null,
      flips(),
      VERDICT.caveats?.length ? section("caveats", "To keep in mind", bullets(VERDICT.caveats)) : null,
      outcasts()),
    APPROACHES.length ? section("approaches", "The approaches", standings(), scores()) : null,
    APPROACHES.length ? section("cost", "Cost against quality", costPlot()) : null,
    PAGE.comparisons?.length ? section("pairs", "Which differences are real", pairs()) : null,
    PAGE.tags?.length ? section("tags", "By tag", tagTable()) : null,
    Object.keys(PAGE.classes ?? {}).length ? section("classes", "By label", labelTables(state)) : null,
    Object.keys(PAGE.fields ?? {}).length ? section("fields", "By field", fieldTable()) : null,
  ];
}

function hero() {
  const sentence = PAGE.sentence || "There is no verdict.";
  const undecided = VERDICT.leaders?.length === 0 ? "None can be chosen" : "No clear winner";
  const chosen = APPROACHES.find((one) => one.name === PAGE.choice);
  return h("div", { class: "hero" },
    h("p", { class: "kicker" }, PAGE.choice ? "Verdict" : undecided),
    said(sentence, "h1", { class: sentence.length > 110 ? "sentence long" : "sentence", tabindex: "-1" }),
    PAGE.complete === false ? h("p", { class: "notice" }, h("strong", null, "The run is not complete. "),
      "Some answers are still missing, so the figures may change.") : null,
    chosen ? keyFigures(chosen) : null);
}

function keyFigures(one) {
  const facts = [
    [plain(PRIMARY), figure(one.mean), known(one.low) ? `95 % interval ${figure(one.low)} to ${figure(one.high)}` : ""],
    ["price per 1,000", usd(one.usd_per_1k), known(one.usd_per_1k) ? "" : "no price is known"],
    ["time to answer", seconds(one.p50_seconds), known(one.p95_seconds) ? `95 % within ${seconds(one.p95_seconds)}` : ""],
    one.cited > 0 ? ["answers with a source", percent(one.cited), "support exact or close"] : null,
    ["examples", whole(one.n), one.errors ? `and ${counted(one.errors, "error")}` : "no errors"],
  ];
  return h("dl", { class: "facts", "aria-label": `Figures of ${one.name}` }, facts.filter(Boolean).map(([name, value, note]) =>
    h("div", null, h("dt", null, name), h("dd", null, value, note ? h("small", null, note) : null))));
}

function flips() {
  const texts = VERDICT.flips ?? [];
  const more = VERDICT.more_examples;
  if (!texts.length && !known(more)) return null;
  return section("flips", "What would change it", bullets(texts),
    known(more) ? h("p", { class: "soft" },
      `About ${whole(more)} more examples would show smaller differences than the present ones can.`) : null);
}

/** Those ruled out and those that could not run, each with why. */
function outcasts() {
  const out = Object.entries(RULED_OUT).map(([name, misses]) => [name, "ruled out", [misses].flat()]);
  const away = Object.entries(PAGE.unavailable ?? {}).map(([name, reason]) => [name, "could not run", [reason]]);
  if (!out.length && !away.length) return null;
  const title = [out.length && "Ruled out", away.length && "Could not run"].filter(Boolean).join(", ").replace(", C", ", c");
  return section("out", title, h("dl", { class: "reasons" }, [...out, ...away].map(([name, kind, reasons]) =>
    h("div", null, h("dt", null, said(name), h("span", { class: "role" }, ` ${kind}`)),
      reasons.map((reason) => said(reason, "dd"))))));
}

function standings() {
  const axis = scoreAxis(APPROACHES.flatMap((one) => [one.low ?? one.mean, one.high ?? one.mean]));
  const name = plain(PRIMARY);
  const cited = APPROACHES.some((one) => one.cited > 0);
  const right = (label) => ({ label, number: true });
  const head = ["approach", { label: `${name}, 95 % interval`, node: scale(axis, `${name}, 95 % interval`) }, right("n"),
    right("$ per 1,000"), right("p50"), right("p95"), cited ? right("cited") : null, right("abstained"), right("errors")];
  const rows = APPROACHES.map((one) => [
    named(one.name),
    h("span", { class: "measure" }, bar(axis, one, role(one.name)), h("span", { class: "figures" }, spread(one))),
    whole(one.n),
    usd(one.usd_per_1k),
    seconds(one.p50_seconds),
    seconds(one.p95_seconds),
    ...(cited ? [percent(one.cited)] : []),
    whole(one.abstained),
    one.errors ? [whole(one.errors), h("small", null, kinds(one.failures))] : "0",
  ]);
  return [table("The approaches with their score, cost and time", head.filter(Boolean), rows),
    h("p", { class: "soft small" }, "n: answers with a score; errors are in none of the other figures. ",
      "p50 and p95: half and 95 % of the answers came within this time.", cited ?
        " cited: answers with a source that supports them." : "")];
}

function kinds(failures) {
  const all = Object.entries(failures ?? {});
  return all.map(([kind, count]) => (all.length > 1 ? `${count} ${plain(kind)}` : plain(kind))).join(", ");
}

/** Every other metric, closed at first. */
function scores() {
  const all = [...new Set(APPROACHES.flatMap((one) => Object.keys(one.metrics ?? {})))].filter((one) => one !== PRIMARY);
  if (!all.length) return null;
  const rows = APPROACHES.map((one) => [named(one.name), ...all.map((metric) => interval(own(one.metrics, metric), one.n))]);
  return h("details", null, h("summary", null, `Other scores: ${all.map(plain).join(", ")}`),
    table("Every other score of the approaches", ["approach", ...all.map((one) => ({ label: plain(one), number: true }))],
      rows));
}

/** A mean with its interval beneath, and n where it is not the one of the row. */
function interval(value, n) {
  if (!value || !known(value.mean)) return "–";
  const show = (one) => figure(one, value.n >= 1000 ? DIGITS : 2);
  return [h("b", null, show(value.mean)),
    known(value.low) ? h("small", null, `${show(value.low)} to ${show(value.high)}`) : null,
    known(value.n) && value.n !== n ? h("small", null, `n ${whole(value.n)}`) : null];
}

/** The better one first; those with the best approach open, the rest on demand. */
function pairs() {
  const turned = PAGE.comparisons.map((one) => one.difference >= 0 ? one
    : { ...one, a: one.b, b: one.a, difference: -one.difference, low: -one.high, high: -one.low });
  const rank = (one) => NAMES.indexOf(one.a) + NAMES.indexOf(one.b);
  turned.sort((a, b) => rank(a) - rank(b));
  const best = NAMES[0];
  const first = turned.filter((one) => one.a === best || one.b === best);
  const rest = turned.filter((one) => !first.includes(one));
  const axis = differenceAxis(turned.flatMap((one) => [one.low, one.high]));
  return [
    pairTable(`Differences to ${best}`, first.length ? first : rest, axis),
    pairNotes(turned).map((text) => h("p", { class: "soft small" }, text)),
    first.length && rest.length ? h("details", null, h("summary", null, `The other ${counted(rest.length, "pair")}`),
      pairTable("Differences between the others", rest, axis)) : null,
  ];
}

function pairNotes(list) {
  const further = " The verdict speaks of further ones, beyond those there are, and counts all pairs.";
  return [
    "Paired on the same examples; each interval is for its pair alone, p is adjusted for all pairs (Holm).",
    "Detectable: the smallest true difference that so many examples show in four of five cases.",
    "Needed in all: examples that would show the observed difference as often, were it true and the pair the only one." +
      (known(VERDICT.more_examples) ? further : ""),
    list.some(torn) ? "Where an interval and a finding seem to disagree: the interval is of that pair alone, " +
      "the finding goes by p, which comes of another test and counts all pairs." : "",
  ].filter(Boolean);
}

/** The interval alone would say something else than the finding. */
function torn(one) {
  return known(one.low) && known(one.high) && isReal(one) !== (one.low > 0 || one.high < 0);
}

function isReal(one) {
  return one.p_adjusted < 0.05;
}

function pairTable(caption, list, axis) {
  const right = (label) => ({ label, number: true });
  const name = `difference in ${plain(PRIMARY)}`;
  const head = ["pair", "finding", { label: name, node: scale(axis, name, "+") }, right("p"), right("n"),
    right("detectable"), right("needed in all")];
  return table(caption, head, list.map((one) => {
    const real = isReal(one);
    return [
      h("span", { class: "pair" }, said(one.a), h("span", { class: "against" }, " over "), said(one.b)),
      real ? h("strong", { class: "finding" }, "better") : h("span", { class: "soft finding" }, "cannot tell"),
      h("span", { class: "measure" }, bar(axis, { ...one, mean: one.difference }, real ? "leader" : ""),
        h("span", { class: "figures" }, spread({ ...one, mean: one.difference }, signed))),
      chance(one.p_adjusted),
      whole(one.n),
      figure(one.detectable),
      whole(one.needed),
    ];
  }));
}
