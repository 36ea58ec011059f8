/** Asks the server; whatever goes wrong is told in one plain sentence, a missing key by the event "locked" too. */

/** An error that the server told, with its HTTP status; 0 where it could not be reached. */
export class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** What stands at a path, as JSON. */
export function get(path) {
  return ask(path, {});
}

/** Send JSON to a path; what it answers, or null. */
export function post(path, body = {}) {
  return ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

/** Delete what stands at a path. */
export function remove(path) {
  return ask(path, { method: "DELETE" });
}

async function ask(path, options) {
  let reply;
  try {
    reply = await fetch(path, { ...options, credentials: "same-origin" });
  } catch {
    throw new ServerError("The server cannot be reached. Is it still running? Try again in a moment.", 0);
  }
  if (reply.status === 204) return null;
  let told = null;
  try {
    told = await reply.json();
  } catch {
    // not JSON: a proxy in between, perhaps; the status says enough
  }
  if (reply.status === 401 && path !== "/page/session") document.dispatchEvent(new Event("locked"));
  if (!reply.ok) throw new ServerError(sentence(told?.error?.message) ?? `The server answered ${reply.status}.`, reply.status);
  if (told === null) throw new ServerError("The server's answer could not be read.", reply.status);
  return told;
}

/** A message as a sentence. */
export function sentence(message) {
  if (!message) return null;
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /(?:…|\p{Sentence_Terminal})["”’»」]?$/u.test(text) ? text : `${text}.`; // in any script
}
