// Where each approach fails: the share of each cause, and what to try first.

function diagnosisSection() {
  const found = NAMES.map((name) => PAGE.diagnosis?.find((each) => each.approach === name))
    .filter((each) => each?.causes.length);
  if (!found.length) return null;
  const total = new Map();
  for (const { cause, count } of found.flatMap((each) => each.causes)) total.set(cause, (total.get(cause) ?? 0) + count);
  const causes = [...total.keys()].sort((a, b) => total.get(b) - total.get(a));
  const share = (name, cause) => found.find((each) => each.approach === name)?.causes
    .find((each) => each.cause === cause)?.share;
  const rest = found.flatMap((each) => each.causes.slice(1).map((cause) => [each, cause]));
  return section("diagnosis", "Where they fail",
    h("p", { class: "soft small" }, "Share of all examples that fail for each cause with its 95% interval; darker is more. ",
      "A failure has one cause. Right answers without support by their citations are counted here as well."),
    heat("Failures by cause", "cause", causes.map((cause) => ({
      name: cause, note: "", cells: NAMES.map((name) => share(name, cause)), n: PAGE.n,
    }))),
    h("h3", null, "What to try first"),
    remedies(found.map((each) => [each, each.causes[0]])),
    rest.length ? h("details", null, h("summary", null, `Other causes: ${integer(rest.length)}`), remedies(rest)) : null);
}

/** For each cause of an approach: how often, the advice, and examples to look at. */
function remedies(list) {
  return h("dl", { class: "reasons remedies" }, list.map(([{ approach, n }, cause]) => h("div", null,
    h("dt", null, userText(approach), h("span", { class: "role" }, ` ${cause.cause}: ${integer(cause.count)} of ${integer(n)}`)),
    h("dd", null, sentence(cause.advice), cause.gain_at_most > 0
      ? ` Repairs at most ${percent(cause.gain_at_most)} of its answers.` : ""),
    h("dd", null, "See ", cause.examples.map((id, at) =>
      [at ? ", " : "", h("a", { href: address({ view: "example", id, filter: "all" }) }, userText(id))]), "."))));
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
