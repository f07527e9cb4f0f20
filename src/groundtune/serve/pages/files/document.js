// One document: the arrow keys turn its pages, and a picture that cannot be drawn says why.

async function explain(image) {
  const reply = await fetch(image.src).catch(() => null);
  const told = reply && !reply.ok ? await reply.json().catch(() => null) : null;
  const note = document.createElement("p");
  note.className = "notice";
  note.textContent = told?.error?.message ?? "This page cannot be shown.";
  image.replaceWith(note);
}

for (const image of document.querySelectorAll("img.sheet")) {
  image.addEventListener("error", () => explain(image), { once: true });
  if (image.complete && image.naturalWidth === 0 && image.loading !== "lazy") explain(image);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.target.closest("input, textarea, select")) return;
  const relation = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  document.querySelector(`.steps a[rel="${relation}"]`)?.click();
});
