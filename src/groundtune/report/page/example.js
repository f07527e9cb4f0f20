// The example view: the input, the gold answer, and the answers side by side.

function exampleView(state) {
  const row = rowOf(state.id);
  if (!row) {
    return [h("h1", { tabindex: "-1" }, "No such example"),
      h("p", null, "This report has no example ", userText(state.id, "strong"), "."),
      h("p", null, h("a", { href: address({ ...state, view: "matrix" }), id: "back" }, "Back to the matrix"))];
  }
  const { example } = row;
  const cells = cellsOf(row);
  return [
    steps(row, state),
    h("div", { class: "task" },
      h("p", { class: "kicker" }, "Example ", userText(row.id), row.tags.map((tag) => [" ", h("a", { class: "tag",
        href: address({ ...state, view: "matrix", filter: "all", tag, q: "" }) }, userText(tag))])),
      isKnown(example.input) ? userText(asText(example.input), "h1", { tabindex: "-1",
        class: asText(example.input).length > 160 ? "question long" : "question" })
        : h("h1", { tabindex: "-1" }, "The input is not in this report"),
      h("div", { class: "truth" }, section("gold", "Gold answer", goldValue(example)), evidenceSection(example))),
    h("section", { class: NAMES.length === 4 ? "answers four" : "answers", "aria-label": "Answers" }, NAMES.map((name, at) =>
      answerCard(name, ownValue(cells, name), row.keys[at], example))),
  ];
}

function neighbours(row, state) {
  const { list } = filteredRows(state);
  const at = list.findIndex((other) => other.at === row.at);
  if (at >= 0) return { at, list, previous: list[at - 1], next: list[at + 1] };
  return { at, list, previous: list.filter((other) => other.at < row.at).at(-1),
    next: list.find((other) => other.at > row.at) };
}

function steps(row, state) {
  const { at, list, previous, next } = neighbours(row, state);
  const link = (to, text, id) => to ? h("a", { id, href: address({ ...state, id: to.id }) }, text)
    : h("span", { class: "soft", "aria-disabled": "true" }, text);
  const filter = [FILTERS[state.filter][0].toLowerCase(), state.tag && `tag ${state.tag}`, state.q && `“${state.q}”`];
  return h("nav", { class: "steps", "aria-label": "Examples" },
    h("a", { href: address({ ...state, view: "matrix", page: pageOf(row, state) }), id: "back" }, "← Matrix"),
    h("span", { class: "where" }, at < 0 ? "not in this filter" : `${integer(at + 1)} of ${integer(list.length)}`,
      h("span", { class: "soft" }, " · ", userText(filter.filter(Boolean).join(", ")))),
    h("span", { class: "moves" }, link(previous, "Previous", "previous"), link(next, "Next", "next")));
}

/** The evidence for the gold answer. */
function evidenceSection(example) {
  if (!example.evidence?.length) return null;
  return section("proof", "Evidence", h("ul", { class: "evidence" },
    example.evidence.map(({ quote, source }) => h("li", null, userText(quote, "blockquote"),
      userText(source, "cite", { class: "source" })))));
}

function answerCard(name, cell, key, example) {
  const head = h("header", null, h("h2", null, approachLabel(name)), verdictOf(key));
  if (!cell) return h("article", { class: "card none" }, head, h("p", { class: "soft" }, "This cell was not run."));
  return h("article", { class: `card ${ownValue(SIGNS, key) ? key : "partial"}` }, head,
    cell.error ? h("div", { class: "failure" }, h("p", null, h("strong", null, readable(cell.error.kind))),
      userText(cell.error.message, "p", { class: "text" })) : null,
    isKnown(cell.output) && cell.output !== "" ? answerBody(cell, example)
      : cell.error ? null : h("p", { class: "soft" }, "Empty answer."),
    doubts(cell, isKnown(cell.output) && citesNothing(cell)),
    sources(cell.citations ?? [], example.evidence),
    cell.judge ? h("div", { class: "judge" },
      h("h3", null, "Judge", isKnown(cell.judge.score) ? `: ${figure(cell.judge.score, 2)}` : null),
      cell.judge.reason ? userText(cell.judge.reason, "p") : null) : null,
    measures(cell));
}

/** That an answer cites nothing, that the reply was cut off, and its warnings. */
function doubts(cell, uncited) {
  const texts = [uncited ? "No sentence of this answer is cited." : "", cell.cut ? `Cut off at ${cell.cut}.` : "", ...(cell.warnings ?? [])].filter(Boolean);
  return texts.length ? h("ul", { class: "doubts" }, texts.map((text) => userText(text, "li"))) : null;
}

function verdictOf(key) {
  return h("p", { class: "state" }, outcomeSign(key, false), " ", outcomeWord(key));
}

function answerBody(cell, example) {
  const { output } = cell;
  if (typeof output === "object") return fieldsAgainst(output, example.output);
  if (PAGE.task === "classify") return userText(asText(output), "p", { class: "verbatim" });
  return citedText(asText(output), cell.citations ?? [], example.evidence);
}

/** One line per source and uncited sentence, so that no information needs hovering. */
function sources(citations, evidence) {
  const lines = new Map();
  for (const citation of citations) {
    const known = isKnown(citation.marker);
    const key = JSON.stringify([citation.marker, citation.passage_id, citation.support, citation.added === true,
      known ? "" : citation.sentence]);
    if (!lines.has(key)) lines.set(key, known ? sourceLine(citation, evidence) : uncitedLine(citation));
  }
  return lines.size ? h("ul", { class: "sources", "aria-label": "Sources" }, [...lines.values()]) : null;
}

function sourceLine(citation, evidence) {
  const { source, heading, page } = locationOf(citation);
  return h("li", null, `[${citation.marker}] `, source ? userText(source, "span", { class: "source" }) : "no passage",
    heading ? userText(` › ${heading.split(" > ").join(" › ")}`) : null, isKnown(page) ? `, page ${page}` : null,
    " · ", userText(supportWord(citation), "span", { class: supportKind(citation) }),
    isGold(citation, evidence) ? [" ", goldBadge()] : null);
}

function uncitedLine(citation) {
  return h("li", null, userText(supportWord(citation), "span", { class: supportKind(citation) }), ": ",
    userText(`“${brief(citation.sentence)}”`));
}

/** Scores, the primary score first; then latency, cost and tokens. */
function measures(cell) {
  const names = Object.keys(cell.scores ?? {}).sort((a, b) => (b === PRIMARY) - (a === PRIMARY));
  const usage = cell.usage ?? {};
  const tokens = [[usage.input_tokens, "in"], [usage.cached_tokens, "cached"], [usage.output_tokens, "out"]]
    .filter(([count]) => isKnown(count)).map(([count, kind]) => `${integer(count)} ${kind}`).join(", ");
  const facts = [
    ...names.map((name) => [readable(name), figure(cell.scores[name], 2)]),
    ["latency", seconds(usage.seconds)],
    ["cost", usd(usage.usd)],
    tokens ? ["tokens", tokens] : null,
  ];
  return h("dl", { class: "measures" }, facts.filter(Boolean).map(([name, value]) =>
    h("div", null, h("dt", null, name), h("dd", null, value))));
}
