// The page of costs: the sliders and the plot of the report, on the terms of the project as it is now.

const COSTED = PAGE.costs;

function costsPage() {
  return [
    h("h1", null, "Costs"),
    h("p", { class: "soft lead" }, origin()),
    costsSection(),
    hostingChoice(),
    section("parts", "What it is made of", madeOf()),
  ];
}

function origin() {
  if (!COSTED.run) {
    return ["Nothing is measured yet: all figures are simulated from the assumptions below. ",
      h("code", null, "groundtune compare"), " measures tokens, seconds and quality, which this page then uses."];
  }
  return ["Tokens, seconds and quality are measured, in the run of ",
    h("a", { href: `/runs/${encodeURIComponent(COSTED.run)}` }, dateTime(PAGE.made)),
    "; the rest is simulated from the assumptions below, on the terms of the project file as it is now."];
}

/** The crossing of each pair at the project's own values. */
function crossingTable() {
  const round = (value) => integer(roundDigits(value));
  const words = ({ requests_per_month: volume, cheaper_above: above, cheaper_always: always, share }) => {
    if (isKnown(always)) return [`never: ${always} is cheaper at any volume`, "–"];
    if (!isKnown(volume)) return ["unknown, as a price is", "–"];
    return [[h("b", null, round(volume.likely)),
      h("small", null, `${round(volume.low)} to ${round(volume.high)}, in ${percent(share)} of the simulations`)], above];
  };
  return table("Where the lines cross", ["pair", "requests a month", "cheaper above"], COSTED.crossovers.map((crossing) => {
    const [volume, above] = words(crossing);
    return [h("span", { class: "pair" }, userText(crossing.a), h("span", { class: "soft" }, " and "), userText(crossing.b)),
      volume, userText(above)];
  }));
}

/** How tuned models elsewhere are paid for: another way is another page, as all figures change with it. */
function hostingChoice() {
  if (!PAGE.is_hosted) return null;
  return section("hosting", "Hosting of tuned models",
    choices("Hosting", [["per_use", "Paid per use"], ["reserved", "An endpoint of their own"]], COSTED.hosting,
      (value) => location.assign(`/costs?hosting=${value}#hosting`)),
    h("p", { class: "soft small" }, COSTED.hosting === "reserved"
      ? "Requests to a tuned model cost nothing beyond the month of its endpoint."
      : "A tuned model costs nothing while nobody asks it, and its tokens may be dearer than those of its base.",
    " The project file says it under ", h("code", null, "[costs] hosting"), "."));
}

/** Medians at the project's own values: set-up, an update of the facts, and what a month is paid for. */
function madeOf() {
  const suffix = ", monthly";
  const names = [...new Set(COSTED.approaches.flatMap(({ parts }) => Object.keys(parts)))];
  const monthly = names.filter((name) => name.endsWith(suffix));
  const once = names.filter((name) => !name.endsWith(suffix));
  const head = (label) => ({ label, number: true });
  const part = (approach, name) => (name in approach.parts ? usd(approach.parts[name]?.likely) : "–");
  const total = (range) => (isKnown(range) ? [h("b", null, usd(range.likely)), h("small", null, `${usd(range.low)} to ${usd(range.high)}`)] : "unknown");
  const rowsOf = (of, all) => COSTED.approaches.map((approach) => [approachLabel(approach.name), total(approach[all]),
    ...of.map((name) => part(approach, name))]);
  const unknown = COSTED.approaches.filter((approach) => approach.unknown.length);
  return [
    h("p", { class: "soft small" }, "Medians at the values of the project file, with 5% to 95% of the simulations where all is added up. The sliders do not move them."),
    h("h3", null, "Set-up"),
    table("Set-up", ["approach", head("all of it"), ...once.map(head)], rowsOf(once, "setup_usd")),
    h("h3", null, "A month"),
    table("A month", ["approach", head("all of it"), ...monthly.map((name) => head(name.slice(0, -suffix.length)))], rowsOf(monthly, "monthly_usd")),
    h("h3", null, "An update of the facts"),
    table("An update of the facts", ["approach", head("all of it")], rowsOf([], "update_usd"), { class: "stack narrow" }),
    h("details", null, h("summary", null, `Where the lines of all ${countOf(COSTED.crossovers.length, "pair")} cross`), crossingTable()),
    unknown.length ? h("ul", { class: "points" }, unknown.map(({ name, unknown: prices }) =>
      h("li", null, userText(name), `: unknown is the ${prices.join(" and the ")}`))) : null,
  ];
}

document.getElementById("costs-page").replaceWith(...costsPage().filter(Boolean));
