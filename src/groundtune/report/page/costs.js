// Costs of each approach from the simulated draws that the page carries, under the values of the sliders.

const SHARES = [0.05, 0.5, 0.95];
/** Whether a comparison measured use and quality; else all of it is assumed. */
const IS_MEASURED = isKnown(PAGE.n);

function costsSection() {
  const draws = PAGE.costs ? embeddedData("draws") : {};
  if (!Object.values(draws.approaches ?? {}).some(Boolean)) return null;
  const simulated = new Map(Object.entries(draws.approaches).filter(([, each]) => each).map(([name, each]) =>
    [name, Object.fromEntries(Object.entries(each).map(([part, value]) => [part, decodeDraws(value)]))]));
  const volume = decodeDraws(draws.volume);
  const machine = decodeDraws(draws.machine);
  const moved = {};
  const body = h("div", { class: "moved" });
  const plot = h("div", { class: "plot" });
  const told = h("div", { role: "status" });
  const draw = () => {
    const state = { months: moved.months ?? draws.months, volume: moved.requests_per_month ?? volume, machine, moved };
    body.replaceChildren(costTable(simulated, state));
    plot.replaceChildren(...volumePlot(simulated, state, plot.clientWidth));
    told.replaceChildren(...movedVerdict(moved));
  };
  const set = (key) => (value) => {
    if (value === null) delete moved[key];
    else moved[key] = value;
    requestAnimationFrame(draw);
  };
  const sliders = costSliders(draws, { volume, machine }, simulated, set);
  const reset = h("button", { type: "button", class: "quiet", onclick: () => {
    for (const key of Object.keys(moved)) delete moved[key];
    for (const each of sliders) each.reset();
    draw();
  } }, "Back to the values at first");
  watchWidth(plot, draw);
  return section("costs", "Costs, and what if",
    PAGE.costs.sentence ? userText(PAGE.costs.sentence, "p", { class: "told" }) : null,
    h("div", { class: "sliders" }, sliders.map((each) => each.node)), reset, told, body,
    h("h3", null, "Monthly cost over volume"), plot,
    h("p", { class: "soft small" }, "Medians of 4,000 simulations, with 5% to 95% of them. Set-up is spread over the months."),
    assumptionTable());
}

/** Call draw at once and whenever the width of a box changes, as long as it is on the page. */
function watchWidth(box, draw) {
  let width = 0;
  const watch = new ResizeObserver(([entry]) => {
    if (!box.isConnected) return watch.disconnect();
    const now = Math.floor(entry.contentRect.width);
    if (now !== width && now >= 200) draw();
    width = now;
    return undefined;
  });
  watch.observe(box);
}

function costSliders(draws, { volume, machine }, simulated, set) {
  const now = quantile(volume, 0.5);
  const requests = logScale(Math.min(100, now), Math.max(1e7, now));
  const stated = quantile(volume, 0.05) === quantile(volume, 0.95) ? integer(now)
    : `${integer(roundDigits(quantile(volume, 0)))} to ${integer(roundDigits(quantile(volume, 1)))}`;
  const ceilings = APPROACHES.map((each) => each.p95_seconds).filter((value) => value > 0);
  const ceiling = ceilings.length ? logScale(Math.min(...ceilings) / 2, Math.max(...ceilings) * 1.5) : null;
  const required = PAGE.moves?.find((move) => move.key === "max_p95_seconds")?.now ?? null;
  const all = [
    slider("Requests a month:", { id: "slide-volume", position: requests.position(now),
      read: (at) => Math.round(requests.at(at)), write: (value) => (value === null ? stated : integer(value)),
      changed: set("requests_per_month") }),
    slider("Months that set-up is spread over:", { id: "slide-months", position: (draws.months - 1) / 59,
      read: (at) => 1 + Math.round(at * 59), write: (value) => integer(value ?? draws.months), changed: set("months") }),
  ];
  if (ceiling) all.push(slider("Latency ceiling, 95th percentile:", { id: "slide-latency",
    position: required === null ? 1 : ceiling.position(required),
    read: (at) => (at === 1 && required === null ? null : ceiling.at(at)),
    write: (value) => (isKnown(value ?? required) ? seconds(value ?? required) : "none"),
    changed: set("max_p95_seconds") }));
  for (const { name } of APPROACHES) {
    const each = simulated.get(name);
    const price = each ? quantile(each.model, 0.5) : 0;
    if (!(price > 0) || quantile(each.model_hours, 1) > 0 || (IS_MEASURED && !LEADERS.includes(name))) continue;
    const scaled = logScale(100 * price, 10_000 * price);
    all.push(slider(`Price of 1,000 requests of ${name}:`, { id: `slide-price-${all.length}`,
      position: scaled.position(1000 * price), read: scaled.at,
      write: (value) => (value === null ? spread(each.model, (usdEach) => usd(1000 * usdEach)) : usd(value)),
      changed: set(`usd_per_1k.${name}`) }));
  }
  if ([...simulated.values()].some(usesMachine)) {
    const likely = quantile(machine, 0.5);
    const rate = logScale(Math.min(0.01, likely || 0.01), Math.max(20, 10 * likely));
    all.push(slider("Price of an hour of this machine:", { id: "slide-machine", position: rate.position(likely),
      read: rate.at, write: (value) => (value === null ? spread(machine, usd) : usd(value)),
      changed: set("machine_usd_per_hour") }));
  }
  const qualities = APPROACHES.map((each) => each.mean).filter(isKnown);
  if (qualities.length && qualities.every((mean) => mean >= 0 && mean <= 1)) {
    const least = PAGE.moves?.find((move) => move.key === "min_quality")?.now ?? null;
    all.push(slider(`Least quality (${readable(PRIMARY)}):`, { id: "slide-quality", position: least ?? 0,
      read: (at) => (at === 0 && least === null ? null : at),
      write: (value) => (isKnown(value ?? least) ? `${(100 * (value ?? least)).toFixed(1)}%` : "none"),
      changed: set("min_quality") }));
  }
  return all;
}

/** Whether any cost of an approach is that of hours of this machine. */
function usesMachine({ setup_hours: setup, monthly_hours: monthly, model_hours: request }) {
  return [setup, monthly, request].some((hours) => quantile(hours, 1) > 0);
}

/** The range of draws in words. */
function spread(draws, show) {
  const [low, high] = [0.05, 0.95].map((share) => show(quantile(draws, share)));
  return low === high ? low : `${low} to ${high}`;
}

/** Costs of a request and of a month, one value for each draw. */
function monthlyDraws(name, each, { months, volume, machine, moved }) {
  const priced = moved[`usd_per_1k.${name}`];
  const rate = moved.machine_usd_per_hour;
  const atRate = (cost, hours) => (rate === undefined ? cost
    : combine((usd, spent, before) => usd + spent * (rate - before), cost, hours, machine));
  const model = priced === undefined ? atRate(each.model, each.model_hours) : priced / 1000;
  const request = combine((a, b) => a + b, model, each.other);
  const fixed = combine((setup, monthly) => setup / months + monthly,
    atRate(each.setup, each.setup_hours), atRate(each.monthly, each.monthly_hours));
  return { request, fixed, month: combine((a, b, c) => a + b * c, fixed, request, volume) };
}

function costTable(simulated, state) {
  const right = (label) => ({ label, number: true });
  const { max_p95_seconds: ceiling, min_quality: least } = state.moved;
  const rows = APPROACHES.map((approach) => {
    const each = simulated.get(approach.name);
    const misses = [isKnown(ceiling) && !(approach.p95_seconds <= ceiling) ? "too slow" : "",
      isKnown(least) && !(approach.mean >= least) ? "not good enough" : ""].filter(Boolean);
    const label = [approachLabel(approach.name), misses.length ? h("small", null, misses.join(", ")) : null];
    if (!each) return [label, "unknown", "unknown", "unknown"];
    const { request, month } = monthlyDraws(approach.name, each, state);
    const right = each.correct !== null && quantile(each.correct, 0.5) > 0
      ? combine((cost, share) => cost / share, request, each.correct) : null;
    return [label, range(month), range(request), right === null ? "unknown" : range(right)];
  });
  return table("Simulated costs by approach",
    ["approach", right("a month"), right("a request"), right("a correct answer")], rows);
}

function range(draws) {
  const [low, likely, high] = SHARES.map((share) => usd(quantile(draws, share)));
  return [h("b", null, likely), low === high ? null : h("small", null, `${low} to ${high}`)];
}

function assumptionTable() {
  const rows = PAGE.costs.assumptions.map((each) => [readable(each.name), String(each.value),
    each.low === each.high ? "fixed" : `${each.low} to ${each.high}`, each.unit, each.origin]);
  return h("details", null, h("summary", null, `The ${countOf(rows.length, "assumption")}`),
    table("Assumptions of the costs", ["assumption", "likely", "range", "unit", "origin"], rows));
}

// -- draws ------------------------------------------------------------------------------------------------------

/** A number, null, or the float32 values that base64 holds. */
function decodeDraws(value) {
  if (typeof value !== "string") return value;
  const bytes = Uint8Array.from(atob(value), (char) => char.charCodeAt(0));
  return Float64Array.from(new Float32Array(bytes.buffer));
}

/** Apply a function to draws and numbers, draw by draw. */
function combine(apply, ...values) {
  const length = Math.max(...values.map((value) => (typeof value === "number" ? 1 : value.length)));
  if (length === 1) return apply(...values);
  return Float64Array.from({ length }, (_, at) => apply(...values.map((value) => (typeof value === "number" ? value : value[at]))));
}

/** The quantile of draws, interpolated as NumPy does. */
function quantile(draws, share) {
  if (typeof draws === "number") return draws;
  const sorted = draws.slice().sort();
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  return sorted[below] + (at - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}

function roundDigits(value) {
  return Number(value.toPrecision(2));
}
