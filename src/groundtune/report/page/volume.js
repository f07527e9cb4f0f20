// Monthly cost over the number of requests: a line for each approach, and where two of them cross.

const VOLUME_STEPS = 24;
const DASHES = ["", "7 4", "2 3", "9 3 2 3", "1 5", "12 4", "4 2", "6 2 2 2 2 2"];

function volumePlot(simulated, state, width) {
  if (width < 200) return [];
  const now = quantile(state.volume, 0.5);
  const low = 10 ** Math.floor(Math.log10(now) - 1.5);
  const high = 10 ** Math.ceil(Math.log10(now) + 2);
  const frame = { left: 62, right: 24, top: 14, bottom: 50, width, height: Math.min(420, Math.max(280, width * 0.45)) };
  const names = NAMES.filter((name) => simulated.get(name));
  const costs = new Map(names.map((name) => [name, monthlyDraws(name, simulated.get(name), state)]));
  const volumes = Array.from({ length: VOLUME_STEPS + 1 }, (_, at) => low * (high / low) ** (at / VOLUME_STEPS));
  const lines = names.map((name) => volumes.map((volume) => monthAt(costs.get(name), volume)));
  const ends = lines.flat().filter((value) => value > 0);
  if (!ends.length) return [h("p", { class: "soft" }, "A month costs nothing, so there is nothing to plot.")];
  const x = powers(low, high, frame.left, frame.width - frame.right);
  const y = powers(10 ** Math.floor(Math.log10(Math.min(...ends))), 10 ** Math.ceil(Math.log10(Math.max(...ends))),
    frame.height - frame.bottom, frame.top);
  const crossed = crossings(names, costs, low, high)
    .filter((each) => each.inside || !IS_MEASURED || [each.above, each.below].every((name) => LEADERS.includes(name)));
  const chart = svg("svg", { width, height: frame.height, viewBox: `0 0 ${width} ${frame.height}`, role: "img",
    "aria-label": "Monthly cost over requests a month; the list below names the crossings" },
  volumeGrid(x, y, frame),
  svg("line", { class: "now", x1: x(now), x2: x(now), y1: frame.top, y2: frame.height - frame.bottom }),
  lines.map((line, at) => svg("path", { class: `cost ${LEADERS.includes(names[at]) ? "leading" : ""}`,
    "stroke-dasharray": DASHES[at % DASHES.length],
    d: line.map((cost, index) => `${index ? "L" : "M"}${x(volumes[index])},${y(Math.max(cost, ends[0] / 1e6))}`).join("") })),
  crossed.filter((each) => each.inside).map((each) =>
    svg("circle", { class: "crossing", cx: x(each.volume), cy: y(each.cost), r: 5 })));
  return [chart, h("ul", { class: "legend" }, names.map((name, at) => h("li", null, lineIcon(at, name), userText(name)))),
    crossed.length ? h("ul", { class: "points crossings" }, crossed.map(crossingLine)) : ""];
}

function monthAt({ fixed, request }, volume) {
  return quantile(combine((a, b) => a + b * volume, fixed, request), 0.5);
}

/** Where the costs of two approaches are equal: the median of the draws, where at least half of them cross. */
function crossings(names, costs, low, high) {
  const found = [];
  names.forEach((a, at) => names.slice(at + 1).forEach((b) => {
    const [one, other] = [costs.get(a), costs.get(b)];
    const at = combine((h1, s1, h2, s2) => (Math.abs(s2 - s1) > 1e-9 * Math.max(s1, s2) ? (h1 - h2) / (s2 - s1) : NaN),
      one.fixed, one.request, other.fixed, other.request);
    const all = typeof at === "number" ? Float64Array.of(at) : at;
    const positive = all.filter((value) => Number.isFinite(value) && value > 0);
    if (positive.length < all.length / 2) return;
    const [least, volume, most] = SHARES.map((share) => quantile(positive, share));
    const slope = quantile(combine((s1, s2) => s2 - s1, one.request, other.request), 0.5);
    found.push({ volume, least, most, share: positive.length / all.length, cost: monthAt(one, volume), inside: volume >= low && volume <= high,
      above: slope > 0 ? a : b, below: slope > 0 ? b : a });
  }));
  return found;
}

function crossingLine({ volume, least, most, share, above, below }) {
  const [from, to] = [least, most].map((value) => integer(roundDigits(value)));
  return h("li", null, `Above about ${integer(roundDigits(volume))} requests a month, `, userText(above),
    " costs less than ", userText(below), from === to ? "." : ` (${from} to ${to}, in ${percent(share)} of the simulations).`);
}

function powers(low, high, start, end) {
  const from = Math.log10(low);
  const span = Math.log10(high) - from || 1;
  const scaled = (value) => start + ((Math.log10(value) - from) / span) * (end - start);
  const every = Math.ceil((span + 1) / (Math.abs(end - start) < 420 ? 5 : 9));
  scaled.ticks = Array.from({ length: Math.round(span) + 1 }, (_, at) => 10 ** Math.round(from + at))
    .filter((_, at) => at % every === 0);
  return scaled;
}

function volumeGrid(x, y, frame) {
  const bottom = frame.height - frame.bottom;
  const right = frame.width - frame.right;
  const brief = (value) => (value >= 1e6 ? `${value / 1e6}M` : value >= 1e3 ? `${value / 1e3}k` : String(Number(value.toPrecision(2))));
  return [
    y.ticks.map((tick) => [svg("line", { class: "tick", x1: frame.left, x2: right, y1: y(tick), y2: y(tick) }),
      svg("text", { x: frame.left - 8, y: y(tick) + 4, "text-anchor": "end" }, `$${brief(tick)}`)]),
    x.ticks.map((tick) => [svg("line", { class: "tick", x1: x(tick), x2: x(tick), y1: frame.top, y2: bottom }),
      svg("text", { x: x(tick), y: bottom + 18, "text-anchor": "middle" }, brief(tick))]),
    svg("path", { class: "edge", d: `M${frame.left},${frame.top}V${bottom}H${right}` }),
    svg("text", { class: "title", x: (frame.left + right) / 2, y: frame.height - 8, "text-anchor": "middle" },
      "requests a month (logarithmic)"),
    svg("text", { class: "title", "text-anchor": "middle",
      transform: `translate(13 ${(frame.top + bottom) / 2}) rotate(-90)` }, "a month (logarithmic)"),
  ];
}

function lineIcon(at, name) {
  return svg("svg", { width: 34, height: 10, viewBox: "0 0 34 10", "aria-hidden": "true" },
    svg("path", { class: `cost ${LEADERS.includes(name) ? "leading" : ""}`, d: "M1,5H33",
      "stroke-dasharray": DASHES[at % DASHES.length] }));
}
