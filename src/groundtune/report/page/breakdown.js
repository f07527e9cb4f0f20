// Scores by tag, by field for extraction, and by label for classification.

const FEW_TAGS = 15;
const MAX_LABELS = 40;
const NO_LABELS = {
  "–": "no label (row: none is correct; column: the approach abstained)",
  "(other)": "a reply that is not one of the labels",
};

function tagTable() {
  const tags = [...PAGE.tags].sort((a, b) => b.n - a.n);
  const draw = (list, caption, key = "approaches") => heat(caption, "tag", list.map((tag) => ({
    name: h("a", { href: address({ view: "matrix", filter: "all", tag: tag.tag }) }, userText(tag.tag)),
    note: `n = ${integer(tag.n)}`,
    cells: NAMES.map((name) => ownValue(tag[key], name)),
    n: tag.n,
  })));
  const wrong = tags.filter((tag) => Object.keys(tag.asserted_wrong ?? {}).length);
  const rest = tags.slice(FEW_TAGS);
  return [
    h("p", { class: "soft small" }, `Mean ${readable(PRIMARY)} with its 95% interval; darker is higher.`),
    draw(tags.slice(0, FEW_TAGS), "Score by tag"),
    rest.length ? h("details", null, h("summary", null, `${countOf(rest.length, "smaller tag")}`),
      draw(rest, "Score by tag, smaller tags")) : null,
    wrong.length ? [
      h("p", { class: "soft small" },
        "Share of wrong answers without a word of doubt with its 95% interval; darker is higher."),
      draw(wrong.slice(0, FEW_TAGS), "Wrong without doubt by tag", "asserted_wrong"),
      wrong.length > FEW_TAGS ? h("details", null,
        h("summary", null, `${countOf(wrong.length - FEW_TAGS, "smaller tag")}`),
        draw(wrong.slice(FEW_TAGS), "Wrong without doubt by tag, smaller tags", "asserted_wrong")) : null,
    ] : null,
  ];
}

/** F1 of each field by approach. */
function fieldTable() {
  const names = NAMES.filter((name) => ownValue(PAGE.fields, name));
  const score = (name, field) => ownValue(PAGE.fields, name).per_field.find((entry) => entry.field === field);
  const fields = [...new Set(names.flatMap((name) => PAGE.fields[name].per_field.map((entry) => entry.field)))];
  const head = h("tr", null, h("th", { scope: "col" }, "field"),
    names.map((name) => h("th", { scope: "col" }, userText(name))));
  const cell = (name, field) => {
    const entry = score(name, field);
    const note = entry ? `precision ${figure(entry.precision, 2)}, recall ${figure(entry.recall, 2)}` : "";
    return tint(h("td", null, h("strong", null, entry ? figure(entry.f1, 2) : "–"), h("small", null, note)), entry?.f1);
  };
  return [
    h("p", { class: "soft small" }, "F1 of each field over all examples; darker is higher."),
    h("div", { class: "scroll", role: "region", "aria-label": "F1 by field", tabindex: "0" },
      h("table", { class: "heat" }, h("caption", { class: "hidden" }, "F1 by field"), h("thead", null, head),
        h("tbody", null, fields.map((field) => h("tr", null, h("th", { scope: "row" }, userText(field)),
          names.map((name) => cell(name, field))))))),
  ];
}

/** A tinted table of means. Rows: {name, note, cells: [{mean, low, high, n}], n}. */
function heat(caption, corner, rows) {
  const head = h("tr", null, h("th", { scope: "col" }, corner),
    NAMES.map((name) => h("th", { scope: "col" }, userText(name))));
  return h("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    h("table", { class: "heat" }, h("caption", { class: "hidden" }, caption), h("thead", null, head),
      h("tbody", null, rows.map((row) => h("tr", null,
        h("th", { scope: "row" }, row.name, h("small", null, row.note)),
        row.cells.map((cell) => tint(h("td", null, interval(cell, row.n)), cell?.mean)))))));
}

function tint(cell, share) {
  if (isKnown(share)) cell.style.setProperty("--tint", `${Math.round(Math.max(0, Math.min(1, share)) * 38)}%`);
  return cell;
}

function labelTables(state) {
  const names = NAMES.filter((name) => ownValue(PAGE.classes, name));
  const name = names.includes(state.of) ? state.of : names[0] ?? Object.keys(PAGE.classes)[0];
  const classes = PAGE.classes[name];
  const pick = (of) => {
    const next = { ...state, of };
    history.replaceState(null, "", address(next));
    const fresh = labelTables(next);
    box.replaceWith(fresh);
    fresh.querySelector("select").focus();
  };
  const box = h("div", null,
    names.length > 1 ? select("Approach", names.map((option) => [option, option]), name, pick) : null,
    h("p", null, "Macro F1 of ", userText(name, "strong"), ` ${figure(classes.macro_f1)}: every label has equal weight.`),
    mixups(classes), perLabel(classes), confusion(classes));
  return box;
}

function labelOf(classes, at) {
  return classes.labels[at] ?? "none of the labels";
}

function mixups({ labels, confusion: counts }) {
  const pairs = counts.flatMap((row, gold) => row.map((count, got) => ({ gold, got, count })))
    .filter((cell) => cell.gold !== cell.got && cell.count > 0).sort((a, b) => b.count - a.count);
  if (!pairs.length) return h("p", null, "No labels are confused.");
  const total = counts.map((row) => row.reduce((sum, count) => sum + count, 0));
  return h("div", null, h("h3", null, "Most frequent confusions"),
    h("ol", { class: "mixups" }, pairs.slice(0, 8).map((cell) => h("li", null,
      userText(labelOf({ labels }, cell.gold)), h("span", { class: "soft" }, " predicted as "),
      userText(labelOf({ labels }, cell.got)),
      h("span", { class: "soft" }, `: ${cell.count} of ${total[cell.gold]}`)))));
}

function perLabel({ per_class: rows }) {
  const right = (label) => ({ label, number: true });
  const worst = [...rows].sort((a, b) => (a.f1 ?? 2) - (b.f1 ?? 2));
  const draw = (list, caption) => table(caption, ["label", right("precision"), right("recall"), right("F1"), right("n")],
    list.map((row) => [userText(row.label), figure(row.precision, 2), figure(row.recall, 2), figure(row.f1, 2),
      integer(row.n)]),
    { class: "stack narrow" });
  if (worst.length <= 12) return [h("h3", null, "Labels, hardest first"), draw(worst, "Precision and recall by label")];
  return [h("h3", null, "Hardest labels"), draw(worst.slice(0, 8), "Precision and recall of the hardest labels"),
    h("details", null, h("summary", null, `The other ${worst.length - 8} labels`),
      draw(worst.slice(8), "Precision and recall of the other labels"))];
}

/** The confusion matrix; with very many labels, only those confused most often. */
function confusion(classes) {
  const { labels, confusion: counts } = classes;
  const size = Math.max(labels.length, ...counts.map((row) => row.length));
  const wrong = (at) => counts.reduce((sum, row, gold) => sum + (gold === at ? 0 : row[at] ?? 0), 0) +
    (counts[at] ?? []).reduce((sum, count, got) => sum + (got === at ? 0 : count), 0);
  let visible = Array.from({ length: size }, (_, at) => at);
  if (size > MAX_LABELS) {
    visible = visible.sort((a, b) => wrong(b) - wrong(a)).slice(0, MAX_LABELS).sort((a, b) => a - b);
  }
  const rows = visible.filter((at) => at < counts.length);
  return [
    h("h3", null, "Confusion matrix"),
    h("p", { class: "soft small" },
      "Rows are gold labels, columns predicted labels. Framed cells are correct; empty cells are zero.",
      size > MAX_LABELS ? ` Showing the ${MAX_LABELS} labels of ${size} that are confused most often.` : ""),
    h("div", { class: "scroll", role: "region", "aria-label": "Confusion matrix", tabindex: "0" },
      h("table", { class: "confusion" }, h("caption", { class: "hidden" }, "Confusion matrix"),
        h("thead", null, h("tr", null, h("th", { scope: "col" }, screenReaderText("gold label")), visible.map((at) =>
          h("th", { scope: "col" }, userText(labelOf(classes, at), "span"))))),
        h("tbody", null, rows.map((gold) => {
          const total = counts[gold].reduce((sum, count) => sum + count, 0) || 1;
          return h("tr", null, h("th", { scope: "row" }, userText(labelOf(classes, gold))), visible.map((got) => {
            const count = counts[gold][got] ?? 0;
            return tint(h("td", { class: gold === got ? "same" : null }, count ? integer(count) : ""), count / total);
          }));
        })))),
    noLabels(labels),
  ];
}

/** Explain the last two entries, which are not labels and appear in every table that groundtune writes. */
function noLabels(labels) {
  const last = labels.slice(-2).filter((label) => ownValue(NO_LABELS, label));
  return last.length ? h("p", { class: "soft small" },
    `${last.map((label) => `${label}: ${NO_LABELS[label]}`).join("; ")}.`) : null;
}
