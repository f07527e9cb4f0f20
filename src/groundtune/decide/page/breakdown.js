// Where an approach is strong and weak: by tag, and by label where the task is to classify.

const FEW_TAGS = 15;
const MAX_LABELS = 40;
const NO_LABELS = {
  "–": "no label: in a row none is right, in a column the approach abstained",
  "(other)": "a reply that is none of the labels",
};

function tagTable() {
  const tags = [...PAGE.tags].sort((a, b) => b.n - a.n);
  const draw = (list, caption) => heat(caption, "tag", list.map((one) => ({
    name: h("a", { href: address({ view: "matrix", filter: "all", tag: one.tag }) }, said(one.tag)),
    note: `n ${whole(one.n)}`,
    cells: NAMES.map((name) => own(one.approaches, name)),
    n: one.n,
  })));
  const rest = tags.slice(FEW_TAGS);
  return [
    h("p", { class: "soft small" }, `Mean ${plain(PRIMARY)} with its 95 % interval; the darker, the higher.`),
    draw(tags.slice(0, FEW_TAGS), "Score by tag"),
    rest.length ? h("details", null, h("summary", null, `${counted(rest.length, "smaller tag")}`),
      draw(rest, "Score by tag, the smaller ones")) : null,
  ];
}

/** F1 of each field of the objects, by approach. */
function fieldTable() {
  const names = NAMES.filter((name) => own(PAGE.fields, name));
  const score = (name, field) => own(PAGE.fields, name).per_field.find((one) => one.field === field);
  const fields = [...new Set(names.flatMap((name) => PAGE.fields[name].per_field.map((one) => one.field)))];
  const head = h("tr", null, h("th", { scope: "col" }, "field"), names.map((name) => h("th", { scope: "col" }, said(name))));
  const cell = (name, field) => {
    const one = score(name, field);
    const parts = one ? `precision ${figure(one.precision, 2)}, recall ${figure(one.recall, 2)}` : "";
    return tint(h("td", null, h("strong", null, one ? figure(one.f1, 2) : "–"), h("small", null, parts)), one?.f1);
  };
  return [
    h("p", { class: "soft small" }, "F1 of each field over all examples; the darker, the higher."),
    h("div", { class: "scroll", role: "region", "aria-label": "F1 by field", tabindex: "0" },
      h("table", { class: "heat" }, h("caption", { class: "hidden" }, "F1 by field"), h("thead", null, head),
        h("tbody", null, fields.map((field) => h("tr", null, h("th", { scope: "row" }, said(field)),
          names.map((name) => cell(name, field))))))),
  ];
}

/** A table of figures on a tint: {name, note, cells: [{mean, low, high, n}], n}. */
function heat(caption, corner, rows) {
  const head = h("tr", null, h("th", { scope: "col" }, corner), NAMES.map((name) => h("th", { scope: "col" }, said(name))));
  return h("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0" },
    h("table", { class: "heat" }, h("caption", { class: "hidden" }, caption), h("thead", null, head),
      h("tbody", null, rows.map((row) => h("tr", null,
        h("th", { scope: "row" }, row.name, h("small", null, row.note)),
        row.cells.map((cell) => tint(h("td", null, interval(cell, row.n)), cell?.mean)))))));
}

function tint(cell, share) {
  if (known(share)) cell.style.setProperty("--tint", `${Math.round(Math.max(0, Math.min(1, share)) * 38)}%`);
  return cell;
}

function labelTables(state) {
  const names = NAMES.filter((name) => own(PAGE.classes, name));
  const name = names.includes(state.of) ? state.of : names[0] ?? Object.keys(PAGE.classes)[0];
  const classes = PAGE.classes[name];
  const pick = (of) => {
    const next = { ...state, of };
    history.replaceState(null, "", address(next));
    const fresh = labelTables(next);
    box.replaceWith(fresh);
    fresh.querySelector("select").focus();
  };
  const box = h("div", null, names.length > 1 ? select("Approach", names.map((one) => [one, one]), name, pick) : null,
    h("p", null, "Macro F1 of ", said(name, "strong"), ` ${figure(classes.macro_f1)}: every label counts the same.`),
    mixups(classes), perLabel(classes), confusion(classes));
  return box;
}

function labelOf(classes, at) {
  return classes.labels[at] ?? "none of them";
}

function mixups({ labels, confusion: counts }) {
  const pairs = counts.flatMap((row, gold) => row.map((count, got) => ({ gold, got, count })))
    .filter((one) => one.gold !== one.got && one.count > 0).sort((a, b) => b.count - a.count);
  if (!pairs.length) return h("p", null, "No label is taken for another.");
  const total = counts.map((row) => row.reduce((sum, count) => sum + count, 0));
  return h("div", null, h("h3", null, "Taken for another most often"),
    h("ol", { class: "mixups" }, pairs.slice(0, 8).map((one) => h("li", null,
      said(labelOf({ labels }, one.gold)), h("span", { class: "soft" }, " taken for "),
      said(labelOf({ labels }, one.got)),
      h("span", { class: "soft" }, `: ${one.count} of ${total[one.gold]}`)))));
}

function perLabel({ per_class: rows }) {
  const right = (label) => ({ label, number: true });
  const worst = [...rows].sort((a, b) => (a.f1 ?? 2) - (b.f1 ?? 2));
  const draw = (list, caption) => table(caption, ["label", right("precision"), right("recall"), right("F1"), right("n")],
    list.map((one) => [said(one.label), figure(one.precision, 2), figure(one.recall, 2), figure(one.f1, 2), whole(one.n)]),
    { class: "stack narrow" });
  if (worst.length <= 12) return [h("h3", null, "Each label, the hardest first"), draw(worst, "Precision and recall by label")];
  return [h("h3", null, "The hardest labels"), draw(worst.slice(0, 8), "Precision and recall of the hardest labels"),
    h("details", null, h("summary", null, `The other ${worst.length - 8} labels`),
      draw(worst.slice(8), "Precision and recall of the other labels"))];
}

/** Rows are gold labels, columns what was said. Of very many labels, only those that are mixed up most. */
function confusion(classes) {
  const { labels, confusion: counts } = classes;
  const size = Math.max(labels.length, ...counts.map((row) => row.length));
  const wrong = (at) => counts.reduce((sum, row, gold) => sum + (gold === at ? 0 : row[at] ?? 0), 0) +
    (counts[at] ?? []).reduce((sum, count, got) => sum + (got === at ? 0 : count), 0);
  let shown = Array.from({ length: size }, (_, at) => at);
  if (size > MAX_LABELS) {
    shown = shown.sort((a, b) => wrong(b) - wrong(a)).slice(0, MAX_LABELS).sort((a, b) => a - b);
  }
  const rows = shown.filter((at) => at < counts.length);
  return [
    h("h3", null, "Gold label against answer"),
    h("p", { class: "soft small" }, "A row is what was right, a column what was said; framed: the same. Empty: none.",
      size > MAX_LABELS ? ` Of ${size} labels, the ${MAX_LABELS} that are mixed up most.` : ""),
    h("div", { class: "scroll", role: "region", "aria-label": "Gold label against answer", tabindex: "0" },
      h("table", { class: "confusion" }, h("caption", { class: "hidden" }, "Gold label against answer"),
        h("thead", null, h("tr", null, h("th", { scope: "col" }, hidden("gold label")), shown.map((at) =>
          h("th", { scope: "col" }, said(labelOf(classes, at), "span"))))),
        h("tbody", null, rows.map((gold) => {
          const total = counts[gold].reduce((sum, count) => sum + count, 0) || 1;
          return h("tr", null, h("th", { scope: "row" }, said(labelOf(classes, gold))), shown.map((got) => {
            const count = counts[gold][got] ?? 0;
            return tint(h("td", { class: gold === got ? "same" : null }, count ? whole(count) : ""), count / total);
          }));
        })))),
    noLabels(labels),
  ];
}

/** The last two of the labels are none, and stand in every table that groundtune makes. */
function noLabels(labels) {
  const last = labels.slice(-2).filter((label) => own(NO_LABELS, label));
  return last.length ? h("p", { class: "soft small" },
    `${last.map((label) => `${label}: ${NO_LABELS[label]}`).join("; ")}.`) : null;
}
