/** One strategy's answer: its text with coloured references, what it cost, and what a reader should know. */

import { sentence } from "./api.js";
import { count, h, money, prose, seconds, words } from "./dom.js";
import { spread } from "./measures.js";
import { explain } from "./why.js";

/** The answer with its shares in a bar; the tables stand elsewhere. */
export function answerView(view) {
  const points = { name: (number) => nameLink(view, number), finding: (number) => findingLink(view, number) };
  const text = h("div", { class: "prose", lang: view.language, dir: view.direction }, prose(view.prose, view.references, points));
  explain(text, view.references);
  return h(
    "div",
    { class: "answer" },
    spread(view),
    view.notes.length ? h("ul", { class: "notes", "aria-label": "What to know of this answer" }, view.notes.map((note) => h("li", { dir: "auto" }, sentence(note)))) : null,
    text,
    h("p", { class: "soft" }, costLine(view)),
    findings(view),
    harms(view),
    references(view),
  );
}

/** Behind a name of an essay: to the voice that named it, or to the first of several. */
function nameLink(view, number) {
  const { text, perspectives } = view.names[number];
  const said = `${text}: named by ${perspectives.map(words).join(", ")}`;
  return h("a", { class: "to-voice", id: `name-${number}`, href: `#voice-${perspectives[0]}`, "data-voice": perspectives[0], title: said, "aria-label": said }, "\u2193");
}

function findingLink(view, number) {
  const { kind, why } = view.findings[number];
  return h("a", { class: "to-finding", id: `found-${number}`, href: `#finding-${number}`, title: why, "aria-label": `The check found: ${kind}. ${why}` }, "?");
}

/** What the check found, and what became of it; what remains is in sight. */
function findings(view) {
  const all = view.findings ?? [];
  if (!all.length) return view.check && view.check !== "none" ? h("p", { class: "soft" }, "The check of the essay against its voices found nothing.") : null;
  const left = all.filter((each) => each.state === "remains").length;
  const items = all.map((each, number) =>
    h(
      "li",
      { id: `finding-${number}`, dir: "auto" },
      h("strong", {}, `${each.kind}, ${each.state}`),
      each.quote ? [": \u201c", h("bdi", {}, each.quote), "\u201d"] : null,
      `. ${sentence(each.why)} (${each.by} check)`,
      each.state === "remains" && each.quote ? [" ", h("a", { href: `#found-${number}` }, "where it stands")] : null,
    ),
  );
  return h("details", { class: "findings", open: left > 0 }, h("summary", {}, `What the check found (${all.length}; ${left} remain)`), h("ul", {}, items));
}

/** Seconds, calls and tokens of an answer, and its cost where prices are known. */
export function costLine(view) {
  const { calls, input_tokens: given, output_tokens: made } = view.usage;
  const tokens = given === null || made === null ? "tokens not reported" : `${count(given)} tokens in, ${count(made)} out`;
  const cost = view.usd === null || view.usd === undefined ? "" : `, ${money(view.usd)}`;
  return [h("bdi", {}, view.model), `: ${seconds(view.seconds)}, ${count(calls)} ${calls === 1 ? "call" : "calls"}, ${tokens}${cost}`];
}

/** Who contests the practices that the answer touches, inside each tradition, and where that can be read. */
function harms(view) {
  const all = view.harms ?? [];
  if (!all.length) return null;
  const one = (harm) => [
    h("h4", {}, harm.description),
    h("ul", {}, harm.contests.map((each) => h("li", { dir: "auto" }, h("strong", {}, `${each.title}: `), `${each.by}. ${each.argues} `, h("em", {}, each.source)))),
  ];
  return h("details", { class: "harms" }, h("summary", {}, `Who contests the practices it touches, and where to read it (${all.length})`), all.map(one));
}

function references(view) {
  if (!view.references.length) return view.measures ? h("p", { class: "soft" }, "No reference to any perspective was found.") : null;
  const rows = view.references.map((each) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", dir: "auto" }, each.text),
      h("td", {}, h("span", { class: `swatch of-${each.perspective}` }), words(each.perspective)),
      h("td", {}, each.echo ? `${each.cue}, echo` : each.cue),
      h("td", { dir: "auto" }, each.source || words(each.entity)),
      h("td", {}, `${each.sentence + 1}`),
      h("td", {}, each.counts && !each.echo ? "yes" : "no"),
    ),
  );
  const head = ["words", "perspective", "cue", "entity or source", "sentence", "counted"].map((name) => h("th", { scope: "col" }, name));
  return h(
    "details",
    {},
    h("summary", {}, `Every reference found (${view.references.length})`),
    h(
      "div",
      { class: "wide", tabindex: "0", role: "region", "aria-label": `References of ${view.strategy}` },
      h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)),
    ),
  );
}

