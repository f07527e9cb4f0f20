// Small drawings beside figures: the icon of an approach, an interval on an axis. They only repeat the text.

/** The role of an approach as a shape: filled diamond for the choice and leaders, cross if ruled out, else circle. */
function shape(kind, x, y, size = 5) {
  if (kind === "ruled out") {
    const path = `M${x - size},${y - size}L${x + size},${y + size}M${x - size},${y + size}L${x + size},${y - size}`;
    return svg("path", { class: "cross", d: path });
  }
  if (kind === "") return svg("circle", { class: "open", cx: x, cy: y, r: size * 0.9 });
  const r = size * 1.25;
  const diamond = svg("path", { class: "solid", d: `M${x},${y - r}L${x + r},${y}L${x},${y + r}L${x - r},${y}Z` });
  return kind === "chosen" ? [diamond, svg("circle", { class: "ring", cx: x, cy: y, r: size * 2 })] : diamond;
}

function roleIcon(kind) {
  return svg("svg", { class: "sign", width: 22, height: 22, viewBox: "0 0 22 22", "aria-hidden": "true" },
    shape(kind, 11, 11, 5));
}

/** The name of an approach with its icon and its role in words. */
function approachLabel(name) {
  const kind = role(name);
  return h("span", { class: "approach" }, roleIcon(kind),
    h("span", null, userText(name), kind ? h("span", { class: "role" }, ` ${kind}`) : null));
}

const BAR = { width: 220, height: 22, pad: 8 };

/** An axis with its ends and ticks. */
function axisOf(low, high) {
  const span = high - low || 1;
  const x = (value) => BAR.pad + ((value - low) / span) * (BAR.width - 2 * BAR.pad);
  return { low, high, x, ticks: [low, (low + high) / 2, high] };
}

/** An axis from 0 to 1, wider only if a score lies outside. */
function scoreAxis(values) {
  const all = values.filter(isKnown);
  return axisOf(Math.min(0, ...all), Math.max(1, ...all));
}

/** An axis symmetric about zero, ending at a round number. */
function differenceAxis(values) {
  const reach = Math.max(0.01, ...values.filter(isKnown).map(Math.abs));
  const unit = 10 ** Math.floor(Math.log10(reach));
  const end = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * unit).find((step) => step >= reach - 1e-9);
  return axisOf(-end, end);
}

function bar(axis, { mean, low, high }, kind = "") {
  if (!isKnown(mean)) return null;
  const middle = BAR.height / 2;
  const ends = isKnown(low) && isKnown(high) ? [axis.x(low), axis.x(high)] : null;
  return svg("svg", { class: "bar", width: BAR.width, height: BAR.height, "aria-hidden": "true",
    viewBox: `0 0 ${BAR.width} ${BAR.height}` },
  axis.ticks.map((at) => svg("line", { class: "tick", x1: axis.x(at), x2: axis.x(at), y1: 2, y2: BAR.height - 2 })),
  ends && svg("path", { class: "whisker",
    d: `M${ends[0]},${middle - 4}v8M${ends[0]},${middle}H${ends[1]}M${ends[1]},${middle - 4}v8` }),
  shape(kind === "chosen" ? "leader" : kind, axis.x(mean), middle, 4.2));
}

/** The axis labels, for the head of a column of bars. */
function scale(axis, label, plus = "") {
  const show = (value) => `${value > 0 ? plus : ""}${Number(value.toFixed(3))}`.replace("-", "−");
  const anchor = ["start", "middle", "end"];
  return h("span", { class: "scale" }, label,
    svg("svg", { width: BAR.width, height: 14, viewBox: `0 0 ${BAR.width} 14`, "aria-hidden": "true" },
      axis.ticks.map((at, index) => svg("text", { y: 11, "text-anchor": anchor[index],
        x: axis.x(at) + [-4, 0, 4][index] }, show(at)))));
}
