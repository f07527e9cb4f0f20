// Shared by the pages of the server: talks to it in JSON.

/** The reply to a request; raises an error with the server's own words when it is none of success. */
async function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return replied(fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal }));
}

/** What the server tells under an address; raises an error with its own words when it tells nothing. */
async function get(path, signal) {
  return (await replied(fetch(path, { signal }))).json();
}

async function replied(asked) {
  const reply = await asked.catch((error) => {
    throw error.name === "AbortError" ? error : new Error("The server cannot be reached.");
  });
  if (reply.ok) return reply;
  if (reply.status === 401) location.reload();
  const told = await reply.json().catch(() => null);
  const { message, code, param } = told?.error ?? {};
  throw Object.assign(new Error(message ?? `The server replied with status ${reply.status}.`), { code, param });
}
