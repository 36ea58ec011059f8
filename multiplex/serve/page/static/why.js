/** Why a reference counts: shown beside it on pointing, on focus and on a press; Escape closes it. */

import { fill, h, words } from "./dom.js";

const CUES = {
  named: "named: a people, tradition, religion or region as the holder of a view",
  concept: "concept: an idea of this tradition",
  place: "place: a place or nationality as a mere label; recorded, not counted",
  implied: "implied: only the meaning says so, as a classifier reads it; recorded, not counted",
};
const known = new WeakMap();
let hide = () => {};

/** Close what is shown: the text that it belongs to is leaving. */
export function closeReference() {
  hide();
}

/** Tell what the marks inside an element stand for. */
export function explain(element, references) {
  known.set(element, references);
  element.dataset.explained = "";
}

/** Show `panel` beside the reference that is pointed at. */
export function watchReferences(panel) {
  let pinned = null;
  let shown = null;

  hide = () => {
    panel.hidden = true;
    shown?.removeAttribute("aria-describedby");
    shown?.removeAttribute("aria-expanded");
    shown = pinned = null;
  };
  const show = (mark) => {
    const references = found(mark);
    if (!references.length) return;
    if (shown !== mark) hide();
    shown = mark;
    fill(panel, references.map(told));
    panel.hidden = false;
    mark.setAttribute("aria-describedby", panel.id);
    mark.setAttribute("aria-expanded", "true");
    place(panel, mark);
  };
  const at = (event) => event.target.closest?.("mark.ref") ?? null;

  document.addEventListener("pointermove", (event) => {
    const mark = at(event);
    if (mark && event.pointerType === "mouse" && !pinned && mark !== shown) show(mark);
    else if (!mark && !pinned && !panel.contains(event.target)) hide();
  });
  document.addEventListener("focusin", (event) => {
    const mark = at(event);
    if (mark) show(mark);
    else hide();
  });
  document.addEventListener("click", (event) => {
    const mark = at(event);
    if (mark) {
      show(mark);
      pinned = mark;
    } else if (!panel.contains(event.target)) hide();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const mark = at(event);
    if (mark && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      if (pinned === mark) hide();
      else {
        show(mark);
        pinned = mark;
      }
    }
  });
  window.addEventListener("scroll", () => shown && place(panel, shown), { passive: true });
}

function found(mark) {
  const references = known.get(mark.closest("[data-explained]")) ?? [];
  return mark.dataset.r.split(" ").map((number) => references[Number(number)]).filter(Boolean);
}

/** One reference in words. */
export function told(reference) {
  const counts = reference.echo
    ? "An echo of the question's own words: not counted."
    : reference.counts
      ? "Counts in the headline."
      : reference.cue === "named" || reference.cue === "concept"
        ? "Outside the frame: recorded, not counted in the shares."
        : "Not counted in the headline.";
  return h(
    "div",
    { class: "told" },
    h("p", {}, h("span", { class: `swatch of-${reference.perspective}` }), h("strong", {}, words(reference.perspective)), ": “", h("bdi", {}, reference.text), "”"),
    h("p", {}, CUES[reference.cue] ?? reference.cue, reference.cue === "implied" ? ` (probability ${reference.score.toFixed(2)})` : ""),
    reference.entity ? h("p", {}, `entity: ${words(reference.entity)}`) : null,
    ...Object.entries(reference.facets ?? {}).map(([axis, values]) => h("p", {}, `${axis}: ${values.map(words).join(", ")}`)),
    reference.source ? h("p", { dir: "auto" }, `source: ${reference.source}`) : null,
    h("p", { class: "soft" }, counts),
  );
}

function place(panel, mark) {
  const spot = mark.getBoundingClientRect();
  const width = Math.min(360, window.innerWidth - 16);
  panel.style.width = `${width}px`;
  const left = Math.max(8, Math.min(spot.left, window.innerWidth - width - 8));
  const below = spot.bottom + 6 + panel.offsetHeight < window.innerHeight;
  panel.style.left = `${left}px`;
  panel.style.top = `${below ? spot.bottom + 6 : Math.max(8, spot.top - 6 - panel.offsetHeight)}px`;
}
