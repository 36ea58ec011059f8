/** Where the voices stand on a closed question: a band a voice, its figures, and whether they are split or aligned. */

import { h, percent } from "./dom.js";

const SPLIT = "|";

/** The options that were written, with `|` between them. */
export function options(text) {
  return text.split(SPLIT).map((each) => each.trim()).filter(Boolean);
}

/** The stances of an answer's voices; null where none was asked for. */
export function stances(stance) {
  if (!stance) return null;
  const own = { lang: stance.language || null, dir: stance.direction };
  const none = stance.rows.length ? "No voice was asked which option it would choose." : "No voice was asked which option it would choose: there is no council's answer.";
  return h(
    "section",
    { class: "stances", id: "stances", "aria-labelledby": "stances-title" },
    h("h2", { id: "stances-title" }, "Where the voices stand"),
    h("p", { class: "soft" }, "How likely each voice is to choose each option, asked with the options in both orders. The voices are a model's; they represent no people."),
    h("ul", { class: "plain key", "aria-label": "Options" }, stance.options.map((option, i) => h("li", { dir: "auto" }, swatch(i), option))),
    stance.line ? h("p", { class: "agreement", ...own }, stance.line) : h("p", { class: "agreement" }, none),
    stance.rows.length ? h("ul", { class: "plain bands", "aria-label": "Voices", ...own }, stance.rows.map((row) => band(row, stance.options))) : null,
  );
}

function band(row, names) {
  const title = h("strong", { class: `who of-${row.perspective}` }, row.title);
  if (!row.shares) return h("li", { "data-perspective": row.perspective }, title, h("span", { class: "soft" }, h("bdi", {}, row.why)));
  const parts = row.shares.map((share, i) => {
    const part = h("span", { class: `part option-${i}` });
    part.style.inlineSize = `${100 * share}%`;
    return part;
  });
  const figures = row.shares.map((share, i) => h("span", { class: "figure" }, swatch(i), h("bdi", {}, names[i]), ` ${percent(share)}`));
  return h("li", { "data-perspective": row.perspective }, title, h("span", {}, h("span", { class: "track", "aria-hidden": "true" }, parts), h("span", { class: "told" }, figures)));
}

function swatch(place) {
  return h("span", { class: `swatch option-${place}`, "aria-hidden": "true" });
}
