// Show gold outputs and answers that are labels, lists or objects so that a person can compare them.

/** The leaves of an object as [path, text]. */
function leaves(value, path = "") {
  if (Array.isArray(value)) {
    const plainList = value.every((item) => item === null || typeof item !== "object");
    if (plainList) return [[path, value.map(asText).join(", ")]];
    return value.flatMap((item, at) => leaves(item, `${path}[${at + 1}]`));
  }
  if (value !== null && typeof value === "object") {
    return Object.entries(value).flatMap(([key, inner]) => leaves(inner, path ? `${path}.${key}` : key));
  }
  return isKnown(value) ? [[path, asText(value)]] : [];
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function goldValue(example) {
  const gold = example.output;
  if (example.unknown || gold === undefined) return h("p", { class: "soft" }, "The gold answer is not in this report.");
  if (gold === null) return h("p", null, "Abstain: the documents do not answer this.");
  if (isObject(gold)) return fields(gold);
  if (Array.isArray(gold)) {
    return gold.length === 1 ? userText(asText(gold[0]), "p", { class: "text" })
      : [h("p", { class: "soft small" }, "Any of these:"), bullets(gold.map(asText))];
  }
  return userText(asText(gold), "p", { class: "text" });
}

function fields(value) {
  return h("dl", { class: "fields" }, leaves(value).map(([path, text]) =>
    h("div", null, userText(path, "dt"), userText(text, "dd"))));
}

/** The fields of an answer; a field that differs from gold also shows the gold value. */
function fieldsAgainst(value, gold) {
  const have = new Map(leaves(value));
  const want = new Map(isObject(gold) ? leaves(gold) : []);
  const paths = [...new Set([...want.keys(), ...have.keys()])];
  const same = (path) => fold(have.get(path)) === fold(want.get(path));
  return h("dl", { class: "fields" }, paths.map((path) => h("div", { class: want.size && !same(path) ? "differs" : null },
    userText(path, "dt"),
    have.has(path) ? userText(have.get(path), "dd") : h("dd", { class: "soft" }, "not given"),
    want.size && !same(path) ? h("dd", { class: "gold-is" }, "✗ gold: ",
      want.has(path) ? userText(want.get(path)) : "nothing") : null)));
}
