// The form for a folder without a project: fills in what the folder shows, and follows the server when it goes on.

const [form, problem, status, endpoint, create, anyway] = ["new", "problem", "status", "endpoint", "create", "anyway"]
  .map((id) => document.getElementById(id));
const RETRY_MS = 300;

// -- what is there ----------------------------------------------------------------------------------------------

async function look() {
  const found = await get("/api/setup/new");
  fillList("folders", found.folders);
  fillList("endpoints", found.endpoints.map((each) => each.base_url));
  fillList("models", found.endpoints.flatMap((each) => each.models));
  document.getElementById("folder-about").textContent = folderSentence(found);
  const { name, size, is_here } = found.builtin;
  document.getElementById("builtin-about").textContent =
    `${name}, to see the machinery: ${is_here ? "it is on this machine" : `a later step downloads ${size}, once`}`;
  check("task", found.task);
  const local = found.endpoints.find((each) => each.model && !each.api_key_env);
  const first = local ?? found.endpoints[0];
  if (!first) return;
  form.elements.base_url.value = first.base_url;
  form.elements.model.value = first.model ?? "";
  form.elements.api_key_env.value = first.api_key_env ?? "";
  if (local) check("answers", "endpoint");
}

function folderSentence({ files, kinds, others, examples }) {
  if (!files) return "No document is here yet: leave this empty, and upload some in the next step.";
  const most = Object.entries(kinds).slice(0, 5).map(([suffix, number]) => `${integer(number)} ${suffix.slice(1)}`);
  const rest = others ? `; ${countOf(others, "other file")} will be skipped` : "";
  const rows = examples.length ? ` Examples: ${examples.join(", ")}.` : "";
  return `${countOf(files, "document")} here (${most.join(", ")})${rest}.${rows}`;
}

function fillList(id, texts) {
  document.getElementById(id).replaceChildren(...[...new Set(texts)].map((text) => h("option", { value: text })));
}

function check(name, value) {
  form.querySelector(`input[name="${name}"][value="${value}"]`).checked = true;
  showEndpoint();
}

function showEndpoint() {
  endpoint.hidden = form.elements.answers.value !== "endpoint";
}

// -- creating ---------------------------------------------------------------------------------------------------

form.addEventListener("change", showEndpoint);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  send(false);
});
anyway.addEventListener("click", () => send(true));

async function send(unchecked) {
  if (create.disabled) return;
  create.disabled = true;
  anyway.hidden = true;
  problem.replaceChildren();
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  status.textContent = "Writing the project file…";
  try {
    const values = Object.fromEntries([...new FormData(form)].map(([key, value]) => [key, value.trim()]));
    await post("/api/setup/new", { ...values, unchecked });
    status.textContent = "The project is there. The server starts with it…";
    await follow();
  } catch (error) {
    status.textContent = "";
    create.disabled = false;
    anyway.hidden = error.code !== "no_endpoint";
    problem.replaceChildren(h("p", { class: "problem", role: "alert" }, userText(error.message)));
    const field = form.elements.namedItem(error.param ?? "");
    field?.setAttribute("aria-invalid", "true");
    field?.focus();
  }
}

/** Wait until the server of the project answers, which has another /healthz, and open its page. */
async function follow() {
  for (;;) {
    const reply = await fetch("/healthz").catch(() => null);
    if (reply?.ok) break;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  location.replace("/setup");
}

look().catch((error) => problem.replaceChildren(h("p", { class: "problem", role: "alert" }, userText(error.message))));
