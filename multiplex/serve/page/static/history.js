/** The questions that this browser asked; they stay in it. */

import { h, fill } from "./dom.js";

const KEY = "multiplex.history";
const MOST = 100;

/** Remember a question. */
export function remember(id, question) {
  const rest = all().filter((each) => each.id !== id);
  write([{ id, question: question.slice(0, 300), at: new Date().toISOString() }, ...rest].slice(0, MOST));
}

/** Forget one question. */
export function forget(id) {
  write(all().filter((each) => each.id !== id));
}

/** The list, with a way to forget it; null where it is empty. */
export function historyList() {
  const there = all();
  if (!there.length) return null;
  const section = h("section", { class: "history", "aria-labelledby": "history-title" });
  const forgetAll = h("button", {
    type: "button",
    class: "quiet",
    onclick: () => {
      write([]);
      fill(section, h("p", { class: "soft", role: "status" }, "Forgotten. Answers that the server keeps are still at their links."));
    },
  }, "Forget these");
  const items = there.map((each) =>
    h("li", {}, h("a", { href: `/answers/${encodeURIComponent(each.id)}`, dir: "auto" }, each.question), " ", when(each.at)),
  );
  return fill(section, h("h2", { id: "history-title" }, "Asked in this browser"), h("ul", { class: "plain" }, items), forgetAll);
}

function when(at) {
  const time = new Date(at);
  return Number.isNaN(time.valueOf()) ? null : h("time", { datetime: at, class: "soft" }, time.toLocaleString());
}

function all() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((each) => typeof each?.id === "string" && typeof each?.question === "string") : [];
  } catch {
    return []; // storage is off, or holds something else
  }
}

function write(list) {
  try {
    localStorage.setItem(KEY, JSON.stringify(list));
  } catch {
    // storage is off or full: the history is a convenience
  }
}
