/** What can be done with an answer: copy its link, save it, delete it. */

import { remove } from "./api.js";
import { fill, h } from "./dom.js";
import { forget } from "./history.js";
import { closeReference } from "./why.js";

/** How long the link of an answer works. */
function lasting(view, setup) {
  if (!setup.lasting) return `The link works until the server stops, or ${setup.held} later questions were answered: it was started without --memory.`;
  if (!view.lasting) return "The link works until the server stops: its memory could not take this answer.";
  if (setup.keep_days === null) return "The link works as long as the server's memory is kept.";
  const days = setup.keep_days === 1 ? "a day" : `${setup.keep_days} days`;
  return `The link works until nobody has gone on with this conversation for ${days}.`;
}

/** The link of an answer, its files, and its end. */
export function keeping(shared) {
  const { view, setup } = shared;
  const path = `/answers/${encodeURIComponent(view.id)}`;
  const told = h("span", { role: "status", class: "soft" });
  const copy = h("button", {
    type: "button",
    class: "quiet",
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(new URL(path, location.href).href);
        told.textContent = "Copied.";
      } catch {
        told.textContent = "This browser does not let a page copy; take it from the address bar.";
      }
    },
  }, "Copy the link to this answer");
  const files = [["md", "Markdown"], ["html", "HTML"], ["json", "JSON, the full record"]].map(([form, name]) =>
    h("li", {}, h("a", { href: `/page/answers/${encodeURIComponent(view.id)}/download.${form}`, download: true }, name)),
  );
  return h(
    "section",
    { class: "keeping", "aria-labelledby": "keeping-title" },
    h("h2", { id: "keeping-title" }, "Keep it"),
    h("p", {}, copy, " ", told),
    h("p", { class: "soft" }, `${lasting(view, setup)} Seed ${view.seed}, ${view.created}.`),
    h("p", {}, "Download:"),
    h("ul", { class: "plain files" }, files),
    view.mine ? deleting(shared) : null,
  );
}

/** A button that deletes the answer, once that was confirmed; for the one who asked. */
function deleting({ view, page, stops }) {
  const told = h("span", { role: "alert", class: "trouble" });
  const yes = h("button", { type: "button" }, "Delete it for good");
  const no = h("button", { type: "button", class: "quiet" }, "Keep it");
  const first = h("button", { type: "button", class: "quiet" }, "Delete this question and its answers");
  const sure = h("span", { role: "group", "aria-label": "Delete this question and its answers?" }, "It will be gone here and behind its link. ", yes, " ", no);
  const turn = (asking) => {
    first.hidden = asking;
    sure.hidden = !asking;
    (asking ? no : first).focus();
  };
  sure.hidden = true;
  first.addEventListener("click", () => turn(true));
  no.addEventListener("click", () => turn(false));
  sure.addEventListener("keydown", (event) => event.key === "Escape" && turn(false));
  yes.addEventListener("click", async () => {
    yes.disabled = true;
    try {
      await remove(`/page/answers/${encodeURIComponent(view.id)}`);
    } catch (error) {
      yes.disabled = false;
      told.textContent = error.message;
      return;
    }
    forget(view.id);
    stops.splice(0).forEach((stop) => stop());
    closeReference();
    const gone = h("h1", { tabindex: "-1" }, "Deleted");
    fill(page, gone, h("p", {}, "The question and its answers are gone from this server. "), h("p", {}, h("a", { href: "/" }, "Ask a question")));
    gone.focus();
  });
  return h("p", {}, first, sure, " ", told);
}
