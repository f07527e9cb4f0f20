// Citations: bind each [n] of an answer to its sentence and show its passage, with the quote highlighted by offsets;
// mark the sentences that cite nothing.

const MARKER = /\[\s*\d{1,5}(?:\s*[,;–-]\s*\d{1,5})*\s*\]/g;

/** The states of support that this page knows: a word, and what it means. Other checkers may report others. */
const SUPPORT = {
  exact: ["exact", "the sentence appears word for word in the passage."],
  close: ["close", "its numbers, its names and most of its words appear in the passage."],
  unchecked: ["not checked", "its words differ from the passage, and nothing could tell whether the meaning does."],
  uncited: ["not cited", "the sentence names no passage."],
  missing: ["unsupported", "the passage does not say this."],
};
const RANK = ["exact", "close", "other", "unchecked", "uncited", "missing"];
const FLAGGED = ["other", "unchecked", "missing"];

/** The class of a state of support; "other" for one that this page does not know. */
function supportKind(citation) {
  return ownValue(SUPPORT, citation.support) ? citation.support : "other";
}

function supportWord(citation) {
  const word = ownValue(SUPPORT, citation.support)?.[0] ?? String(citation.support);
  return citation.added ? `${word}, marker added` : word;
}

function supportSentence(citation) {
  if (isKnown(citation.marker) && !isKnown(citation.passage_id)) {
    return `Unsupported: the model was given no passage for [${citation.marker}].`;
  }
  const [word, meaning] = ownValue(SUPPORT, citation.support) ?? [String(citation.support), "so says another checker."];
  const added = citation.added ? " The model gave no marker here; groundtune added it." : "";
  return `${word[0].toUpperCase()}${word.slice(1)}: ${meaning}${added}`;
}

/** Whether an answer to a question states something and cites nothing. */
function citesNothing(cell) {
  const answered = PAGE.task === "answer" && cell?.status === "answered" && typeof cell.output === "string";
  return answered && !(cell.citations ?? []).some((citation) => isKnown(citation.marker));
}

function numbersIn(marker) {
  return marker.match(/\d+\s*[–-]\s*\d+|\d+/g).flatMap((piece) => {
    const [low, high = low] = piece.match(/\d+/g).map(Number);
    return high > low && high - low < 100 ? Array.from({ length: high - low + 1 }, (_, at) => low + at) : [low, high];
  }).filter((number, at, all) => all.indexOf(number) === at);
}

/** The markers of an answer that refer to its citations: {start, end, numbers}. */
function markersOf(text, citations) {
  const numbers = new Set(citations.map((citation) => citation.marker).filter(isKnown));
  return [...text.matchAll(MARKER)].map((match) => ({ start: match.index, end: match.index + match[0].length,
    numbers: numbersIn(match[0]) })).filter((marker) => marker.numbers.some((number) => numbers.has(number)));
}

/** A text without spaces and markers, and the original position of each character. */
function bare(text, markers) {
  const places = [];
  let letters = "";
  let at = 0;
  for (const { start, end } of [...markers, { start: text.length, end: text.length }]) {
    for (; at < start; at += 1) {
      if (!/\s/.test(text[at])) {
        letters += text[at];
        places.push(at);
      }
    }
    at = Math.max(at, end);
  }
  return { letters, places };
}

/** The span of each citation's sentence in the answer: [start, end], or null if not found. */
function sentencesOf(text, citations, markers) {
  const { letters, places } = bare(text, markers);
  const spans = new Map();
  let from = 0;
  return citations.map(({ sentence }) => {
    if (!spans.has(sentence)) {
      const target = bare(sentence, markersOf(sentence, citations)).letters;
      let at = target ? letters.indexOf(target, from) : -1;
      if (at < 0 && target) at = letters.indexOf(target);
      if (at >= 0) from = at + target.length;
      spans.set(sentence, at < 0 ? null : [places[at], places[at + target.length - 1] + 1]);
    }
    return spans.get(sentence);
  });
}

/** Bind each number of each marker to the citation with the nearest sentence; return unbound citations as well. */
function bind(citations, spans, markers) {
  const unbound = new Set([...citations.keys()].filter((at) => isKnown(citations[at].marker)));
  const distance = (marker, span) => (span ? Math.max(0, span[0] - marker.end, marker.start - span[1]) : 1e6);
  const bound = markers.map((marker) => marker.numbers.map((number) => {
    const same = [...citations.keys()].filter((at) => citations[at].marker === number);
    const open = same.filter((at) => unbound.has(at));
    const nearest = (open.length ? open : same).sort((a, b) => distance(marker, spans[a]) - distance(marker, spans[b]))[0];
    unbound.delete(nearest);
    return { number, citation: citations[nearest] };
  }));
  return { bound, unbound: [...unbound].map((at) => citations[at]) };
}

/** The text of an answer, with a chip for each marker and its cited sentences underlined. */
function citedText(text, citations, evidence) {
  const markers = markersOf(text, citations);
  const spans = sentencesOf(text, citations, markers);
  const { bound, unbound } = bind(citations, spans, markers);
  const supports = new Map();
  spans.forEach((span, at) => {
    if (!span) return;
    const best = Math.min(RANK.indexOf(supportKind(citations[at])), supports.get(span[0])?.best ?? 9);
    supports.set(span[0], { span, best });
  });
  const sentences = [...supports.values()].sort((a, b) => a.span[0] - b.span[0]);
  const edges = new Set([0, text.length, ...markers.flatMap((marker) => [marker.start, marker.end]),
    ...sentences.flatMap(({ span }) => span)]);
  const cuts = [...edges].sort((a, b) => a - b);
  const box = h("div", { class: "answer", dir: "auto" });
  for (let at = 0; at + 1 < cuts.length; at += 1) {
    const marker = markers.findIndex(({ start, end }) => start <= cuts[at] && cuts[at] < end);
    if (marker >= 0) {
      if (markers[marker].start === cuts[at]) {
        box.append(...bound[marker].map(({ citation, number }) => citation ? chip(citation, evidence) : `[${number}]`));
      }
      continue;
    }
    const piece = text.slice(cuts[at], cuts[at + 1]);
    const inside = sentences.find(({ span }) => span[0] <= cuts[at] && cuts[at] < span[1]);
    const words = piece.trimEnd();
    box.append(...(inside && /[\p{L}\p{N}]/u.test(words)
      ? [h("span", { class: `cites ${RANK[inside.best]}` }, words), piece.slice(words.length)] : [piece]));
    if (inside && RANK[inside.best] === "uncited" && inside.span[1] === cuts[at + 1]) {
      box.append(h("span", { class: "flag uncited" }, "not cited"));
    }
  }
  if (unbound.length) {
    box.append(h("span", { class: "soft" }, " Also cited: "), ...unbound.map((citation) => chip(citation, evidence)));
  }
  return box;
}

// -- the passage behind a chip ------------------------------------------------------------------------------------

/** Slices of a text by code points, as Python counts. */
function sliced(text, ...cuts) {
  if (!/[\ud800-\udfff]/.test(text)) return cuts.slice(1).map((end, at) => text.slice(cuts[at], end));
  const points = Array.from(text);
  return cuts.slice(1).map((end, at) => points.slice(cuts[at], end).join(""));
}

function locationOf(citation) {
  const passage = ownValue(embeddedData("passages"), citation.passage_id) ?? {};
  return { source: citation.source ?? passage.source, heading: citation.heading || passage.heading,
    page: citation.page ?? passage.page, passage };
}

function fold(text) {
  return String(text ?? "").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();
}

/** Whether a citation points to gold evidence: the same source, and a passage that contains the gold quote. */
function isGold(citation, evidence) {
  const { source, passage } = locationOf(citation);
  const near = ` ${fold(`${passage.text ?? ""} ${citation.quote ?? ""}`)} `;
  return (evidence ?? []).some((gold) => gold.source === source && fold(gold.quote) &&
    near.includes(` ${fold(gold.quote)} `));
}

let chips = 0;

function chip(citation, evidence) {
  const kind = supportKind(citation);
  const label = [`Citation ${citation.marker}`, supportWord(citation), locationOf(citation).source];
  const flag = [FLAGGED.includes(kind) ? ownValue(SUPPORT, kind)?.[0] ?? citation.support : null,
    citation.added ? "added" : null].filter(Boolean).join(", ");
  const button = h("button", { type: "button", class: `chip ${kind}${citation.added ? " added" : ""}`,
    "aria-expanded": "false", id: `chip-${(chips += 1)}`, "aria-label": label.filter(Boolean).join(", ") },
  `[${citation.marker}]`, flag ? userText(` ${flag}`, "span", { class: "flag" }) : null);
  button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && peek(button, citation, evidence));
  button.addEventListener("pointerleave", () => leave());
  button.addEventListener("focus", () => quiet || peek(button, citation, evidence));
  button.addEventListener("blur", () => leave());
  button.addEventListener("click", () => pin(button, citation, evidence));
  return button;
}

let open = null;
let quiet = false;
let leaving = 0;

/** Show the passage while the chip or the passage is hovered or focused. */
function peek(button, citation, evidence) {
  clearTimeout(leaving);
  if (open?.button === button || open?.pinned) return;
  closePassage();
  const card = passageCard(citation, evidence);
  card.id = `passage-of-${button.id}`;
  card.addEventListener("pointerenter", () => clearTimeout(leaving));
  card.addEventListener("pointerleave", () => leave());
  card.addEventListener("focusout", () => leave());
  button.after(card);
  button.setAttribute("aria-expanded", "true");
  button.setAttribute("aria-controls", card.id);
  open = { button, card, pinned: false };
  positionPassage();
}

function pin(button, citation, evidence) {
  const again = open?.button === button && open.pinned;
  if (open && (again || open.button !== button)) closePassage();
  if (again) return;
  peek(button, citation, evidence);
  open.pinned = true;
  open.card.classList.add("pinned");
  open.card.focus({ preventScroll: true });
  open.card.scrollIntoView({ block: "nearest" });
}

function leave() {
  clearTimeout(leaving);
  leaving = setTimeout(() => {
    if (!open || open.pinned) return;
    const near = [open.button, open.card].some((node) => node.matches(":hover") || node.contains(document.activeElement));
    if (!near) closePassage();
  }, 180);
}

/** Close the open passage, if any; with `back`, return the focus to its chip. */
function closePassage(back = false) {
  if (!open) return false;
  const { button, card } = open;
  open = null;
  card.remove();
  button.setAttribute("aria-expanded", "false");
  button.removeAttribute("aria-controls");
  if (back) {
    quiet = true;
    button.focus();
    quiet = false;
  }
  return true;
}

/** Position the passage below its chip, within the page. */
function positionPassage() {
  const { button, card } = open;
  const frame = document.getElementById("main").getBoundingClientRect();
  const at = button.getBoundingClientRect();
  const room = frame.width - card.offsetWidth;
  card.style.left = `${Math.max(0, Math.min(at.left - frame.left - 24, room))}px`;
  card.style.top = `${at.bottom - frame.top + 6}px`;
  card.querySelector("mark")?.scrollIntoView({ block: "nearest" });
}

function passageCard(citation, evidence) {
  const { source, heading, page } = locationOf(citation);
  const label = `Passage of citation ${citation.marker}`;
  return h("div", { class: "passage", role: "dialog", tabindex: "-1", "aria-label": label },
    h("div", { class: "passage-head" },
      h("button", { type: "button", class: "quiet close", onclick: () => closePassage(true) }, "Close"),
      source ? userText(source, "p", { class: "source" }) : null,
      heading || isKnown(page) ? h("p", { class: "path" }, heading ? userText(heading.split(" > ").join(" › ")) : null,
        isKnown(page) ? `${heading ? ", " : ""}page ${page}` : null) : null,
      h("p", { class: "support" }, userText(supportSentence(citation)), isGold(citation, evidence) ? goldBadge() : null),
      documentLink(citation)),
    passageText(citation));
}

/** A link to the passage in its document, where a server shows it. */
function documentLink({ url, passage_id: id }) {
  const base = document.documentElement.dataset.passages;
  const address = url ?? (base && isKnown(id) ? `${base}${encodeURIComponent(id)}` : null);
  return address ? h("p", null, h("a", { href: address }, "Open the document")) : null;
}

function goldBadge() {
  return h("span", { class: "gold" }, "gold passage");
}

/** The passage with the quote highlighted, by offsets alone. */
function passageText(citation) {
  const { passage } = locationOf(citation);
  if (!isKnown(passage.text)) {
    return citation.quote ? h("div", { class: "words", dir: "auto" }, h("mark", null, citation.quote)) : null;
  }
  if (!isKnown(citation.start) || !isKnown(citation.end)) return userText(passage.text, "div", { class: "words" });
  const from = passage.start ?? 0;
  const [before, quote, after] = sliced(passage.text, 0, citation.start - from, citation.end - from, passage.text.length);
  return h("div", { class: "words", dir: "auto" }, before, h("mark", null, quote), after);
}
