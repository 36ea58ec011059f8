/** The page's beginning: what the server is, which path is looked at, and what every view shares. */

import { answerPage } from "./answers.js";
import { get, post } from "./api.js";
import { askPage } from "./ask.js";
import { fill, h, setPerspectives } from "./dom.js";
import { runsPage } from "./runs.js";
import { closeReference, watchReferences } from "./why.js";

const main = document.getElementById("main");
let setup = null;
let leave = () => {};
let views = 0; // begun so far
let shown = null; // the path and search that the page shows

/** Go to a path of this page. */
export function go(path) {
  history.pushState(null, "", path);
  window.scrollTo(0, 0);
  main.focus({ preventScroll: true });
  show();
}

async function show() {
  const number = ++views;
  leave();
  leave = () => {};
  closeReference();
  const path = location.pathname;
  shown = path + location.search;
  for (const link of document.querySelectorAll("header nav a")) {
    const here = link.pathname === "/" ? !path.startsWith("/runs") : path.startsWith(link.pathname);
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    setup ??= await opened();
    if (number !== views) return;
    const place = h("div"); // of this view alone: what comes for it later changes no other
    fill(main, place);
    const left = await viewed(place, path);
    if (number === views) leave = left;
    else left();
  } catch (error) {
    if (number !== views || error.status === 401) return;
    fill(main, h("h1", {}, "Nothing to show"), trouble(error), h("p", {}, h("a", { href: "/" }, "Ask a question")));
  }
}

/** Show the view of a path in its place; what is to be done when it is left. */
async function viewed(place, path) {
  if (path.startsWith("/answers/")) return answerPage(place, decodeURIComponent(path.slice("/answers/".length)), setup, go);
  if (path.startsWith("/runs")) {
    await runsPage(place, path);
    return () => {};
  }
  document.title = "multiplex";
  return askPage(place, setup, go);
}

async function opened() {
  const told = await get("/page/setup");
  setPerspectives(told.perspectives);
  document.getElementById("constructions").textContent = `${told.constructions} multiplex ${told.version}.`;
  document.getElementById("to-runs").hidden = !told.runs;
  return told;
}

function trouble(error) {
  console.info(error.stack ?? String(error));
  return h("p", { class: "trouble", role: "alert", dir: "auto" }, error.message);
}

function askForKey() {
  if (main.querySelector("form.key")) return; // somebody is writing one
  views += 1; // what was on its way is not shown any more
  leave();
  leave = () => {};
  const field = h("input", { id: "key", type: "password", autocomplete: "current-password", required: true });
  const told = h("p", { role: "alert" });
  const begin = async (event) => {
    event.preventDefault();
    try {
      await post("/page/session", { key: field.value.trim() });
      setup = null; // the session ended where the server began anew, perhaps with other models
      show();
    } catch (error) {
      told.textContent = error.message;
      field.focus();
    }
  };
  fill(
    main,
    h("h1", {}, "This server asks for a key"),
    h("form", { class: "key", onsubmit: begin }, h("label", { for: "key" }, "Key"), field, h("button", { type: "submit" }, "Open"), told),
  );
  field.focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.origin !== location.origin || link.target || link.hasAttribute("download") || link.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
document.addEventListener("locked", askForKey);
window.addEventListener("popstate", () => {
  if (location.pathname + location.search !== shown) show(); // else a place in the same page
});
watchReferences(document.getElementById("why"));
show();
