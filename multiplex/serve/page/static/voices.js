/** A card for each voice: what it says, what it is, and where its ideas can be read. */

import { count, fill, h, prose, seconds, words } from "./dom.js";

/** A voice that has spoken, or was lost; `persona` tells more of who speaks, `names` are those that an essay took up. */
export function voiceCard(voice, persona = null, names = []) {
  const card = h("article", { class: `voice of-${voice.perspective}`, id: `voice-${voice.perspective}`, tabindex: "-1", "data-perspective": voice.perspective });
  finish(card, voice, persona);
  const here = names.map((name, number) => [name, number]).filter(([name]) => name.perspectives.includes(voice.perspective));
  if (here.length) card.append(h("p", { class: "taken soft" }, "Named in the essay: ", here.flatMap(([name, number], i) => [i ? ", " : null, h("a", { href: `#name-${number}`, dir: "auto" }, name.text)])));
  return card;
}

/** A card that waits for its voice. */
export function waitingCard(persona) {
  return h(
    "article",
    { class: `voice of-${persona.perspective}`, id: `voice-${persona.perspective}`, "data-perspective": persona.perspective, "data-state": "waiting" },
    h("h3", {}, persona.title),
    h("p", { class: "progress soft" }, "waiting"),
  );
}

/** Say how far a voice is. */
export function progress(card, text) {
  if (card.dataset.state === "waiting") card.dataset.state = "speaking";
  const line = card.querySelector(".progress");
  if (line) line.textContent = text;
}

/** Turn a waiting card into the voice that came. */
export function finish(card, voice, persona = null) {
  card.dataset.state = voice.error === null ? "spoke" : "lost";
  const about = persona?.about ?? "An editorial construction; it represents no people.";
  if (voice.error !== null) {
    return fill(
      card,
      h("h3", {}, voice.title),
      h("p", { class: "trouble", dir: "auto" }, h("strong", {}, "This voice was lost. "), voice.error),
      h("p", { class: "about soft" }, `${about} It stands in no part of the answer.`),
    );
  }
  const body = h("div", { class: "said" }, prose(voice.prose, [], { cite: (number) => citeLink(voice, number) }));
  return fill(
    card,
    h("h3", {}, voice.title, voice.round > 1 ? ` (round ${voice.round})` : ""),
    h("p", { class: "cost soft" }, facts(voice)),
    body,
    voice.note ? h("p", { class: "trouble", dir: "auto" }, voice.note) : null,
    h("p", { class: "about soft" }, about),
    positions(voice),
    sources(voice, persona),
  );
}

function facts(voice) {
  const tokens = voice.usage.output_tokens === null ? "tokens not reported" : `${count(voice.usage.output_tokens)} tokens`;
  return [seconds(voice.seconds), tokens, voice.model].flatMap((each, i) => (i ? [", ", h("bdi", {}, each)] : [each]));
}

/** Behind a sentence that rests on a position of the sourcebook: to the position and its source. */
function citeLink(voice, number) {
  const { says, source } = voice.positions[number];
  return h("sup", {}, h("a", { href: `#${placeOf(voice, number)}`, title: `${says} (${source})`, "aria-label": `Position ${number + 1}: ${source}` }, `[${number + 1}]`));
}

function placeOf(voice, number) {
  return `position-${voice.persona}-${voice.round}-${number}`;
}

function positions(voice) {
  if (!voice.positions?.length) return null;
  const items = voice.positions.map((each, number) =>
    h("li", { id: placeOf(voice, number), dir: "auto" }, each.says, " ", h("em", {}, each.whose), "; ", each.source, " ", h("code", {}, each.id)),
  );
  return h("div", { class: "positions" }, h("h4", {}, "What it rests on in the sourcebook"), h("ol", {}, items));
}

function sources(voice, persona) {
  const named = voice.named.length
    ? h("ul", { class: "named", "aria-label": "Ideas it names, and where to read them" }, pairs(voice.named.map((each) => [each.idea, each.source])))
    : null;
  if (!persona) return named;
  const all = h(
    "details",
    {},
    h("summary", {}, "Key sources"),
    h("h4", {}, "What this persona is built on"),
    list(persona.sources.map((each) => [each.of, each.source])),
    h("h4", {}, "Who dissents within the tradition"),
    list(persona.dissent.map((each) => [each.of, each.source])),
    h("p", { class: "soft" }, `Speaks for: ${persona.speaks_for.join("; ")}.`),
    persona.does_not_speak_for.length ? h("p", { class: "soft" }, `Does not speak for: ${persona.does_not_speak_for.join("; ")}.`) : null,
    h("p", { class: "soft" }, `Persona ${words(persona.name)}, version ${persona.version}.`),
  );
  return [named, all];
}

function list(of) {
  return h("ul", {}, pairs(of));
}

function pairs(of) {
  return of.map(([name, source]) => h("li", { dir: "auto" }, h("strong", {}, name), ": ", source));
}
