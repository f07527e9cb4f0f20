// Shared by the pages of operators that list things: what is shown stands in the address, a page of many at a time.

const place = document.getElementById("view");
let asking = null;

/** What the address says is shown: {name: text}. */
function shown() {
  return Object.fromEntries(new URLSearchParams(location.search));
}

/** The address of this page with other values; an empty one is left out. */
function addressWith(values) {
  const query = new URLSearchParams(Object.entries({ ...shown(), ...values }).filter(([, value]) => value));
  return query.size ? `${location.pathname}?${query}` : location.pathname;
}

/** Ask the server, unless another question comes meanwhile; `told` gets the reply, and problems go on the page. */
async function ask(path, target, told, waiting = "Looking…") {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const slow = setTimeout(() => target.replaceChildren(h("p", { class: "busy soft", role: "status" }, waiting)), 250);
  try {
    const reply = await get(path, signal);
    clearTimeout(slow);
    if (!signal.aborted) target.replaceChildren(...[told(reply)].flat(Infinity).filter(Boolean));
  } catch (error) {
    clearTimeout(slow);
    if (error.name !== "AbortError") target.replaceChildren(problem(error.message));
  }
}

function problem(message) {
  return h("p", { class: "problem", role: "alert" }, userText(message));
}

function pathWith(path, values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value));
  return query.size ? `${path}?${query}` : path;
}

function documentLink(source) {
  return h("a", { href: pathWith("/document", { source }) }, userText(source));
}

/** Buttons to the pages before and after; nothing where there is one page. */
function pager({ page, pages }, go) {
  if (pages <= 1) return null;
  const step = (number, label) => h("button",
    { type: "button", class: "quiet", disabled: number < 1 || number > pages, onclick: () => go(number) }, label);
  return h("div", { class: "pager" }, step(page - 1, "Previous"),
    h("span", null, `Page ${integer(page)} of ${integer(pages)}`), step(page + 1, "Next"));
}

/** A field to search in, which asks once the typing pauses. */
function searchField(label, value, search) {
  let pause = 0;
  return h("label", { class: "field grow" }, h("span", null, label), h("input", { type: "search", value,
    oninput: (event) => {
      clearTimeout(pause);
      pause = setTimeout(() => search(event.target.value.trim()), 200);
    } }));
}

/** The first of many, and a button for the rest. */
function firstOf(all, most, draw) {
  const list = h("div", { class: "many" }, draw(all.slice(0, most)));
  if (all.length > most) {
    const more = h("button", { type: "button", class: "quiet", onclick: () => list.replaceChildren(draw(all)) },
      `Show all ${integer(all.length)}`);
    list.append(more);
  }
  return list;
}

function viewLinks(label, links, current) {
  return h("nav", { class: "views", "aria-label": label }, links.map(([value, text]) =>
    h("a", { href: addressWith({ show: value, page: "" }), "aria-current": value === current ? "true" : null }, text)));
}
