// Cost against quality: one point per approach with a vertical interval, cost on a logarithmic axis. Labels never
// overlap.

const COSTS = {
  usd: { label: "US dollars per 1,000 questions", of: (approach) => approach.usd_per_1k, tick: (at) => `$${at}`,
    missing: "price unknown" },
  p95: { label: "seconds, 95th percentile", of: (approach) => approach.p95_seconds, tick: (at) => `${at} s`,
    missing: "latency unknown" },
};

function availableCosts() {
  const some = (kind, test) => APPROACHES.some((approach) => {
    const cost = COSTS[kind].of(approach);
    return isKnown(approach.mean) && isKnown(cost) && test(cost);
  });
  return ["usd", "p95"].filter((kind) => some(kind, (value) => value > 0));
}

/** The plot with its legend and a note on what could not be drawn; redrawn when its width changes. */
function costPlot() {
  const kinds = availableCosts();
  if (!kinds.length) return h("p", { class: "soft" },
    "Neither prices nor latencies are known, so there is nothing to plot.");
  const box = h("div", { class: "plot" });
  let kind = kinds[0];
  let width = 0;
  const draw = () => {
    if (width < 200) return;
    box.replaceChildren(
      kinds.length > 1 ? choices("Cost axis", [["usd", "Money"], ["p95", "Latency"]], kind, (value) => {
        kind = value;
        draw();
        box.querySelector("[aria-pressed=true]").focus();
      }) : "",
      ...drawing(kind, width));
  };
  const watch = new ResizeObserver(([entry]) => {
    if (!box.isConnected) return watch.disconnect();
    const now = Math.floor(entry.contentRect.width);
    if (now === width) return undefined;
    width = now;
    return draw();
  });
  watch.observe(box);
  return box;
}

function drawing(kind, width) {
  const cost = COSTS[kind];
  const drawn = APPROACHES.filter((approach) => isKnown(approach.mean) && isKnown(cost.of(approach)));
  const omitted = APPROACHES.filter((approach) => !drawn.includes(approach));
  const frame = { left: 50, right: 14, top: 14, bottom: 50, width, height: Math.min(420, Math.max(280, width * 0.45)) };
  const x = costScale(drawn.map(cost.of), frame);
  const y = qualityScale(drawn, frame);
  const points = drawn.map((approach) => ({ approach, x: x(cost.of(approach)), y: y(approach.mean),
    low: y(approach.low ?? approach.mean), high: y(approach.high ?? approach.mean) }));
  const numbered = width < 520;
  const labels = placed(points, frame, (approach, at) => (numbered ? String(at + 1) : short(approach.name)));
  const chart = svg("svg", { width, height: frame.height, viewBox: `0 0 ${width} ${frame.height}`, role: "img",
    "aria-label": `${readable(PRIMARY)} against ${cost.label}; the table of approaches has the figures` },
  grid(x, y, frame, cost), points.map((point) => pointMark(point)), labels);
  return [chart,
    numbered ? h("ol", { class: "numbered" }, drawn.map(({ name }) => h("li", null, approachLabel(name)))) : "",
    legend(drawn),
    omitted.length ? h("p", { class: "soft small" }, "Not drawn: ", omitted.map((approach, at) => [at ? ", " : "",
      userText(approach.name), ` (${isKnown(approach.mean) ? cost.missing : "no score"})`]), ".") : ""];
}

function short(name) {
  return name.length > 28 ? `${name.slice(0, 27)}…` : name;
}

/** A logarithmic scale; approaches that cost nothing get their own column, left of a gap. */
function costScale(values, frame) {
  const positive = values.filter((value) => value > 0);
  const free = positive.length < values.length;
  let low = Math.log10(Math.min(...positive));
  let high = Math.log10(Math.max(...positive));
  const pad = Math.max(0.12, (1 - (high - low)) / 2);
  low -= pad;
  high += pad;
  const start = frame.left + (free ? 64 : 0);
  const scaled = (value) => (value <= 0 ? frame.left + 26
    : start + ((Math.log10(value) - low) / (high - low)) * (frame.width - frame.right - start));
  scaled.start = start;
  scaled.free = free;
  const steps = high - low > 2.2 || frame.width < 520 ? [1] : [1, 2, 5];
  scaled.ticks = [];
  for (let power = Math.floor(low); power <= high; power += 1) {
    for (const step of steps) scaled.ticks.push(step * 10 ** power);
  }
  scaled.ticks = scaled.ticks.filter((tick) => Math.log10(tick) >= low && Math.log10(tick) <= high);
  const every = Math.ceil(scaled.ticks.length / Math.max(2, frame.width / 90));
  scaled.ticks = scaled.ticks.filter((_, at) => at % every === 0);
  return scaled;
}

function qualityScale(drawn, frame) {
  const ends = drawn.flatMap((approach) => [approach.low ?? approach.mean, approach.high ?? approach.mean]);
  const least = Math.min(...ends);
  const most = Math.max(...ends);
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10].find((size) => (most - least) / size <= 5) ?? 20;
  const low = Math.floor(least / step - 0.001) * step;
  const high = Math.ceil(most / step + 0.001) * step;
  const bottom = frame.height - frame.bottom;
  const scaled = (value) => bottom - ((value - low) / (high - low)) * (bottom - frame.top);
  scaled.ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, at) => low + at * step)
    .filter((tick) => (tick >= -1e-9 || least < 0) && (tick <= 1 + 1e-9 || most > 1));
  return scaled;
}

function grid(x, y, frame, cost) {
  const bottom = frame.height - frame.bottom;
  const right = frame.width - frame.right;
  const digits = y.ticks.length > 1 && y.ticks[1] - y.ticks[0] < 0.0999 ? 2 : 1;
  return [
    y.ticks.map((tick) => [svg("line", { class: "tick", x1: frame.left, x2: right, y1: y(tick), y2: y(tick) }),
      svg("text", { x: frame.left - 8, y: y(tick) + 4, "text-anchor": "end" }, figure(tick, digits))]),
    x.ticks.map((tick) => [svg("line", { class: "tick", x1: x(tick), x2: x(tick), y1: frame.top, y2: bottom }),
      svg("text", { x: x(tick), y: bottom + 18, "text-anchor": "middle" }, cost.tick(Number(tick.toPrecision(2))))]),
    x.free ? [svg("text", { x: frame.left + 26, y: bottom + 18, "text-anchor": "middle" }, cost.tick(0)),
      svg("path", { class: "edge", d: `M${x.start - 9},${bottom + 4}l4,-8M${x.start - 4},${bottom + 4}l4,-8` })] : null,
    svg("path", { class: "edge", d: `M${frame.left},${frame.top}V${bottom}H${right}` }),
    svg("text", { class: "title", x: (frame.left + right) / 2, y: frame.height - 8, "text-anchor": "middle" },
      `${cost.label}${x.ticks.length ? " (logarithmic)" : ""}`),
    svg("text", { class: "title", "text-anchor": "middle",
      transform: `translate(13 ${(frame.top + bottom) / 2}) rotate(-90)` }, readable(PRIMARY)),
  ];
}

function pointMark({ approach, x, y, low, high }) {
  return svg("g", null, svg("title", null, `${approach.name}: ${meanWithInterval(approach)}`),
    svg("path", { class: "whisker", d: `M${x - 4},${low}h8M${x},${low}V${high}M${x - 4},${high}h8` }),
    shape(role(approach.name), x, y, 5.5));
}

const AROUND = [[1, 0], [-1, 0], [1, -0.8], [1, 0.8], [-1, -0.8], [-1, 0.8], [0, -1], [0, 1]];

/** Place each label at the nearest spot free of points, labels and, where possible, intervals. */
function placed(points, frame, text) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `13px ${getComputedStyle(document.body).fontFamily}`;
  const box = (x, y, width, height) => ({ x, y, width, height });
  const taken = points.map((point) => box(point.x - 12, point.y - 12, 24, 24));
  const bars = points.map((point) => box(point.x - 5, point.high, 10, point.low - point.high));
  const edge = box(frame.left + 2, 2, frame.width - frame.left - 4, frame.height - frame.bottom - 4);
  return points.map((point, at) => {
    const label = text(point.approach, at);
    const width = pen.measureText(label).width + 6;
    let best = null;
    for (const far of [14, 24, 38, 56, 80]) {
      for (const [dx, dy] of AROUND) {
        const middle = point.x + dx * (far + (dx ? width / 2 : 0));
        const place = box(middle - width / 2, point.y + dy * far - 9, width, 18);
        const cost = far + (within(place, edge) ? 0 : 2000) + 60 * bars.filter((bar) => overlap(bar, place)).length +
          1000 * taken.filter((other) => overlap(other, place)).length;
        if (!best || cost < best.cost) best = { cost, place, far, middle };
      }
    }
    taken.push(best.place);
    const line = best.far > 24 ? svg("line", { class: "lead", x1: point.x, y1: point.y,
      x2: Math.max(best.place.x, Math.min(point.x, best.place.x + width)), y2: best.place.y + 9 }) : null;
    return [line, svg("text", { class: "label", x: best.middle, y: best.place.y + 13, "text-anchor": "middle" }, label)];
  });
}

function overlap(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function within(inner, outer) {
  return inner.x >= outer.x && inner.y >= outer.y && inner.x + inner.width <= outer.x + outer.width &&
    inner.y + inner.height <= outer.y + outer.height;
}

function legend(drawn) {
  const words = { chosen: "chosen", leader: "leader: not measurably worse than the best", "": "measurably worse",
    "ruled out": "ruled out" };
  const roles = new Set(drawn.map((approach) => role(approach.name)));
  return h("ul", { class: "legend" }, Object.entries(words).filter(([kind]) => roles.has(kind)).map(([kind, text]) =>
    h("li", null, roleIcon(kind), text)));
}
