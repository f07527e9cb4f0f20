// What a reader moves: sliders, and what the verdict and the command are under their values. Draws no costs.

/** A slider with its value in words. read: from its position, 0 to 1, to a value; null means as it is now. */
function slider(label, { id, read, write, position, changed }) {
  const steps = 400;
  const output = h("output", { for: id });
  const input = h("input", { type: "range", id, min: 0, max: steps, value: Math.round(position * steps), oninput: () => {
    const value = read(Number(input.value) / steps);
    show(value);
    changed(value);
  } });
  const show = (value) => {
    output.textContent = write(value);
    input.setAttribute("aria-valuetext", write(value));
  };
  show(null);
  return {
    node: h("label", { class: "field slider", for: id }, h("span", null, label, " ", output), input),
    reset: () => {
      input.value = Math.round(position * steps);
      show(null);
    },
  };
}

/** Maps positions to values evenly by ratio, with three digits. */
function logScale(low, high) {
  return {
    at: (position) => Number((low * (high / low) ** position).toPrecision(3)),
    position: (value) => Math.log(Math.min(high, Math.max(low, value)) / low) / Math.log(high / low),
  };
}

/** What the verdict is where one number alone has another value; null when that number changes nothing. */
function verdictAt(key, value) {
  const stretches = PAGE.moves?.find((move) => move.key === key)?.stretches;
  if (!stretches?.length) return null;
  return stretches.findLast((each) => each.low < value || (each.low === value && each.includes_low)) ?? stretches[0];
}

/** The verdict under the values that were moved, as far as the page can tell, and the command that tells it. */
function movedVerdict(moved) {
  const list = Object.entries(moved);
  if (!IS_MEASURED) return [h("p", { class: "soft" }, "Move a slider to see the costs under another value.")];
  if (!list.length) return [h("p", { class: "soft" }, "Move a slider to see the costs and the verdict under another value.")];
  const command = `groundtune report ${list.map(([key, value]) => `--what-if ${key}=${value}`).join(" ")}`;
  const told = list.length === 1 ? oneMoved(...list[0])
    : "Several values moved at once: the costs above hold, and the command gives the verdict.";
  return [h("p", { class: "told" }, told), h("p", { class: "soft small" }, h("code", null, command))];
}

function oneMoved(key, value) {
  const found = verdictAt(key, value);
  const now = PAGE.choice ? [userText(PAGE.choice), " would still be recommended."] : "There would still be no clear winner.";
  if (!found || (found.choice === (PAGE.choice ?? null) && found.eligible === LEADERS.length > 0)) return now;
  if (found.choice) return [userText(found.choice), " would be recommended."];
  return found.eligible ? "There would be no clear winner." : "No approach would be eligible.";
}
