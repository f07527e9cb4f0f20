// The verdict view: the sentence, the reasons, what would change it, and the figures behind it.

function verdictView(state) {
  return [
    hero(),
    h("div", { class: "columns" },
      VERDICT.reasons?.length ? section("why", "Why", bullets(VERDICT.reasons)) : null,
      flips(),
      VERDICT.caveats?.length ? section("caveats", "Caveats", bullets(VERDICT.caveats)) : null,
      PAGE.routing_sentence ? section("router", "Router", bullets([PAGE.routing_sentence])) : null,
      PAGE.curve_sentences?.length ? section("curve", "Learning curve", bullets(PAGE.curve_sentences)) : null,
      PAGE.prompt_sentences?.length ? section("prompts", "Prompts", bullets(PAGE.prompt_sentences)) : null,
      PAGE.threshold_sentences?.length
        ? section("thresholds", "Abstention thresholds", bullets(PAGE.threshold_sentences)) : null,
      excluded()),
    APPROACHES.length ? section("approaches", "Approaches", standings(), scores()) : null,
    APPROACHES.length ? section("cost", "Cost against quality", costPlot()) : null,
    costsSection(),
    PAGE.comparisons?.length ? section("pairs", "Pairwise differences", pairs()) : null,
    PAGE.live?.comparisons?.length ? section("live", "On real questions", PAGE.live.comparisons.map(liveComparison),
      h("p", { class: "soft small" }, "What people thought of answers that the server gave, when this page was written. ",
        "These questions are not among the examples above. The intervals hold at whatever moment you look.")) : null,
    diagnosisSection(),
    PAGE.guides?.length ? section("guides", "What guides said", guideTable()) : null,
    PAGE.tags?.length ? section("tags", "By tag", tagTable()) : null,
    Object.keys(PAGE.classes ?? {}).length ? section("classes", "By label", labelTables(state)) : null,
    Object.keys(PAGE.fields ?? {}).length ? section("fields", "By field", fieldTable()) : null,
  ];
}

function hero() {
  const sentence = PAGE.sentence || "No verdict.";
  const undecided = VERDICT.leaders?.length === 0 ? "No eligible approach" : "No clear winner";
  const chosen = APPROACHES.find((approach) => approach.name === PAGE.choice);
  return h("div", { class: "hero" },
    h("p", { class: "kicker" }, PAGE.choice ? "Verdict" : undecided),
    userText(sentence, "h1", { class: sentence.length > 110 ? "sentence long" : "sentence", tabindex: "-1" }),
    PAGE.complete === false ? h("p", { class: "notice" }, h("strong", null, "This run is incomplete. "),
      "Some answers are still missing, so the figures may change.") : null,
    PAGE.unreviewed_sentence ? h("p", { class: "notice" }, h("strong", null, PAGE.unreviewed_sentence)) : null,
    chosen ? keyFigures(chosen) : null);
}

function keyFigures(approach) {
  const wrong = ownValue(approach.metrics, "asserted_wrong");
  const facts = [
    [readable(PRIMARY), figure(approach.mean),
      isKnown(approach.low) ? `95% interval ${figure(approach.low)} to ${figure(approach.high)}` : ""],
    wrong ? ["wrong without doubt", percent(wrong.mean),
      `95% interval ${percent(wrong.low)} to ${percent(wrong.high)}`] : null,
    ["price per 1,000 questions", usd(approach.usd_per_1k), ""],
    ["median latency", seconds(approach.p50_seconds),
      [isKnown(approach.p95_seconds) ? `95% within ${seconds(approach.p95_seconds)}` : "",
        isKnown(approach.answers_per_batch) ? `in batches of about ${Math.round(approach.answers_per_batch)}` : ""]
        .filter(Boolean).join(", ")],
    PAGE.task === "answer" || approach.cited > 0
      ? ["answers supported by their citations", percent(approach.cited), uncheckedNote(approach)] : null,
    ["examples", integer(approach.n), approach.errors ? `and ${countOf(approach.errors, "error")}` : "no errors"],
  ];
  return h("dl", { class: "facts", "aria-label": `Figures of ${approach.name}` },
    facts.filter(Boolean).map(([name, value, note]) =>
      h("div", null, h("dt", null, name), h("dd", null, value, note ? h("small", null, note) : null))));
}

function flips() {
  const texts = VERDICT.flips ?? [];
  const more = VERDICT.more_examples;
  if (!texts.length && !isKnown(more)) return null;
  return section("flips", "What would change the verdict", bullets(texts),
    isKnown(more) ? h("p", { class: "soft" },
      `About ${integer(more)} more examples would make smaller differences detectable.`) : null);
}

/** Approaches that were ruled out or could not run, with the reasons. */
function excluded() {
  const out = Object.entries(RULED_OUT).map(([name, misses]) => [name, "ruled out", [misses].flat()]);
  const absent = Object.entries(PAGE.unavailable ?? {}).map(([name, reason]) => [name, "could not run", [reason]]);
  if (!out.length && !absent.length) return null;
  const titles = [out.length && "Ruled out", absent.length && "Could not run"];
  const title = titles.filter(Boolean).join(", ").replace(", C", ", c");
  return section("out", title, h("dl", { class: "reasons" }, [...out, ...absent].map(([name, kind, reasons]) =>
    h("div", null, h("dt", null, userText(name), h("span", { class: "role" }, ` ${kind}`)),
      reasons.map((reason) => userText(reason, "dd"))))));
}

function uncheckedNote(approach) {
  return approach.unchecked > 0 ? `${percent(approach.unchecked)} of the sentences could not be checked` : "";
}

function standings() {
  const axis = scoreAxis(APPROACHES.flatMap((approach) => [approach.low ?? approach.mean, approach.high ?? approach.mean]));
  const name = readable(PRIMARY);
  const cited = PAGE.task === "answer" || APPROACHES.some((approach) => approach.cited > 0);
  const cut = APPROACHES.some((approach) => Object.keys(approach.cut ?? {}).length);
  const wrong = APPROACHES.some((approach) => ownValue(approach.metrics, "asserted_wrong"));
  const right = (label) => ({ label, number: true });
  const head = ["approach", { label: `${name}, 95% interval`, node: scale(axis, `${name}, 95% interval`) }, right("n"),
    wrong ? right("wrong without doubt") : null, right("$ per 1,000"), right("p50"), right("p95"),
    cited ? right("cited") : null, right("abstained"), cut ? right("cut off") : null, right("errors")];
  const rows = APPROACHES.map((approach) => [
    approachLabel(approach.name),
    h("span", { class: "measure" }, bar(axis, approach, role(approach.name)),
      h("span", { class: "figures" }, meanWithInterval(approach))),
    integer(approach.n),
    ...(wrong ? [assertedWrong(approach)] : []),
    usd(approach.usd_per_1k),
    seconds(approach.p50_seconds),
    seconds(approach.p95_seconds),
    ...(cited ? [[percent(approach.cited), h("small", null, uncheckedNote(approach))]] : []),
    integer(approach.abstained),
    ...(cut ? [cutOff(approach)] : []),
    approach.errors ? [integer(approach.errors), h("small", null, kinds(approach.failures))] : "0",
  ]);
  return [table("Approaches with score, cost and latency", head.filter(Boolean), rows),
    h("p", { class: "soft small" }, "n: rows with a score. Errors are excluded from all other figures. ",
      "p50 and p95: median and 95th-percentile latency.", wrong ?
        " wrong without doubt: share of the questions that get a wrong answer without a word of doubt." : "", cited ?
        " cited: share of answers of which passages support at least half the sentences." : "", cut ?
        " cut off: replies that ended too early, and the limit; the caveats say how to raise it." : "")];
}

/** The share of questions with a wrong answer that has no word of doubt, with its interval. */
function assertedWrong(approach) {
  const wrong = ownValue(approach.metrics, "asserted_wrong");
  return wrong ? [percent(wrong.mean), h("small", null, `${percent(wrong.low)} to ${percent(wrong.high)}`)] : "–";
}

/** Replies that ended too early, with the limits that cut them. */
function cutOff(approach) {
  const limits = Object.entries(approach.cut ?? {});
  if (!limits.length) return "0";
  return [integer(limits.reduce((sum, [, count]) => sum + count, 0)),
    h("small", null, limits.map(([limit]) => limit).join(", "))];
}

function kinds(failures) {
  const all = Object.entries(failures ?? {});
  return all.map(([kind, count]) => (all.length > 1 ? `${count} ${readable(kind)}` : readable(kind))).join(", ");
}

/** What people think of two approaches on real questions: shares with intervals on one axis, and what does not count. */
function liveComparison(live) {
  const axis = axisOf(0, 1);
  const label = `${live.judged}, 95% interval`;
  const sides = [[live.choice, live.choice_share], [live.second, live.second_share]];
  return [
    h("p", null, h("strong", null, `${live.kind}: `, userText(live.sentence))),
    table(`Answers ${live.judged}: ${live.choice} and ${live.second}`,
      ["approach", { label, node: scale(axis, label) }, { label: "n", number: true }],
      sides.map(([name, share]) => [
        approachLabel(name),
        share ? h("span", { class: "measure" }, bar(axis, share, role(name)),
          h("span", { class: "figures" }, meanWithInterval(share, percent))) : "–",
        share ? integer(share.n) : "0",
      ])),
    live.difference_sentence ? userText(live.difference_sentence, "p") : null,
    live.notes.length ? h("details", null, h("summary", null, "What does not count"), bullets(live.notes)) : null,
  ];
}

/** What decision guides said of the project before it was measured, and whether the figures agree. */
function guideTable() {
  return [
    h("p", { class: "soft small" }, "By the answers to groundtune advise and by what the folder shows. A guide is right ",
      "if it says what a leader is, and not measured if no approach of the kind was compared."),
    table("Guides and the figures", ["guide", "says", "by the figures", "because"], PAGE.guides.map((guide) => [
      [userText(guide.guide), h("small", null, userText(guide.title))],
      guide.by_default && guide.says !== "undecided" ? `${guide.says} (by default)` : guide.says,
      guide.figures,
      [userText(guide.because), h("small", null, userText(guide.place))],
    ])),
  ];
}

/** All other metrics, collapsed at first. */
function scores() {
  const every = new Set(APPROACHES.flatMap((approach) => Object.keys(approach.metrics ?? {})));
  const all = [...every].filter((metric) => metric !== PRIMARY);
  if (!all.length) return null;
  const rows = APPROACHES.map((approach) => [approachLabel(approach.name),
    ...all.map((metric) => interval(ownValue(approach.metrics, metric), approach.n))]);
  return h("details", null, h("summary", null, `Other scores: ${all.map(readable).join(", ")}`),
    table("Other scores by approach", ["approach", ...all.map((metric) => ({ label: readable(metric), number: true }))],
      rows));
}

/** A mean with its interval below it, and n where it differs from that of the row. */
function interval(value, n) {
  if (!value || !isKnown(value.mean)) return "–";
  const show = (number) => figure(number, value.n >= 1000 ? DIGITS : 2);
  return [h("b", null, show(value.mean)),
    isKnown(value.low) ? h("small", null, `${show(value.low)} to ${show(value.high)}`) : null,
    isKnown(value.n) && value.n !== n ? h("small", null, `n = ${integer(value.n)}`) : null];
}

/** Pairs with the better approach first; those with the best approach are open, the rest collapsed. */
function pairs() {
  const oriented = PAGE.comparisons.map((pair) => pair.difference >= 0 ? pair
    : { ...pair, a: pair.b, b: pair.a, difference: -pair.difference, low: -pair.high, high: -pair.low });
  const rank = (pair) => NAMES.indexOf(pair.a) + NAMES.indexOf(pair.b);
  oriented.sort((a, b) => rank(a) - rank(b));
  const best = NAMES[0];
  const first = oriented.filter((pair) => pair.a === best || pair.b === best);
  const rest = oriented.filter((pair) => !first.includes(pair));
  const axis = differenceAxis(oriented.flatMap((pair) => [pair.low, pair.high]));
  return [
    pairTable(`Differences from ${best}`, first.length ? first : rest, axis),
    pairNotes(oriented).map((text) => h("p", { class: "soft small" }, text)),
    first.length && rest.length ? h("details", null, h("summary", null, `The other ${countOf(rest.length, "pair")}`),
      pairTable("Differences between the other approaches", rest, axis)) : null,
  ];
}

function pairNotes(list) {
  const further = " The verdict gives the additional examples needed, and accounts for all pairs.";
  return [
    "Paired on the same examples. Each interval is for its pair alone; p is adjusted for all pairs (Holm).",
    "Detectable: the smallest true difference that n examples detect with 80% power.",
    "Needed in total: examples that detect the observed difference with 80% power, if it is the true difference and " +
      "the only pair tested." +
      (isKnown(VERDICT.more_examples) ? further : ""),
    list.some(intervalDisagrees) ? "Where an interval and a finding seem to disagree: " +
      "the interval is for that pair alone, while the finding rests on p, which comes from a different test and " +
      "accounts for all pairs." : "",
  ].filter(Boolean);
}

/** Whether the interval alone would suggest a different finding. */
function intervalDisagrees(pair) {
  return isKnown(pair.low) && isKnown(pair.high) && isMeasurable(pair) !== (pair.low > 0 || pair.high < 0);
}

function isMeasurable(pair) {
  return pair.p_adjusted < 0.05;
}

function pairTable(caption, list, axis) {
  const right = (label) => ({ label, number: true });
  const name = `difference in ${readable(PRIMARY)}`;
  const head = ["pair", "finding", { label: name, node: scale(axis, name, "+") }, right("p"), right("n"),
    right("detectable"), right("needed in total")];
  return table(caption, head, list.map((pair) => {
    const real = isMeasurable(pair);
    return [
      h("span", { class: "pair" }, userText(pair.a), h("span", { class: "against" }, " over "), userText(pair.b)),
      real ? h("strong", { class: "finding" }, "better") : h("span", { class: "soft finding" }, "inconclusive"),
      h("span", { class: "measure" }, bar(axis, { ...pair, mean: pair.difference }, real ? "leader" : ""),
        h("span", { class: "figures" }, meanWithInterval({ ...pair, mean: pair.difference }, signed))),
      pValue(pair.p_adjusted),
      integer(pair.n),
      figure(pair.detectable),
      integer(pair.needed),
    ];
  }));
}
