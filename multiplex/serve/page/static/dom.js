/** Elements without HTML: foreign text only ever becomes text nodes. */

/** An element; attributes that are functions and begin with "on" listen, null, undefined and false leave one out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...there(children));
  return element;
}

/** Put these in place of what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...there(children));
  return element;
}

function there(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

const TAGS = new Set(
  "p h3 h4 h5 h6 ul ol li strong em blockquote hr table thead tbody tr th td pre code br mark s".split(" "),
);
const BLOCKS = new Set(["p", "h3", "h4", "h5", "h6", "li", "blockquote", "td", "th"]);

/**
 * The elements of a text's nodes; `references` are what its marks stand for, `points` makes an element of a node that
 * stands at a single place ("name", "finding").
 */
export function prose(nodes, references = [], points = {}) {
  const held = document.createDocumentFragment();
  for (const node of nodes) held.append(made(node, references, points));
  return held;
}

function made(node, references, points) {
  if (typeof node === "string") return document.createTextNode(node);
  if (Object.hasOwn(points, node.t)) return points[node.t](node.n);
  if (!TAGS.has(node.t)) return prose(node.c, references, points);
  if (node.t === "mark") return mark(node, references, points);
  if (node.t === "s") return h("span", { class: "scaffold" }, prose(node.c, references, points));
  if (node.t === "table") return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "table" }, h("table", {}, prose(node.c, references, points)));
  if (node.t === "pre") return h("pre", { tabindex: "0", dir: "auto" }, prose(node.c, references, points)); // it scrolls
  return h(node.t, { dir: BLOCKS.has(node.t) ? "auto" : null, start: node.start }, prose(node.c, references, points));
}

const STRENGTH = ["named", "concept", "place", "implied"];

function mark(node, references, points) {
  const here = node.r.map((number) => references[number]).filter(Boolean);
  if (!here.length) return prose(node.c, references, points);
  const strongest = here.reduce((a, b) => (STRENGTH.indexOf(b.cue) < STRENGTH.indexOf(a.cue) ? b : a));
  const codes = [...new Set(here.map((each) => codeOf(each.perspective)))].join("·");
  const classes = ["ref", `of-${strongest.perspective}`, strongest.cue, strongest.echo ? "echo" : ""].join(" ").trim();
  const shared = [...new Set(here.filter((each) => each.cue === strongest.cue && !each.echo).map((each) => each.perspective))];
  const made = h(
    "mark",
    { class: classes, role: "button", tabindex: "0", "aria-haspopup": "true", "data-r": node.r.join(" ") },
    prose(node.c, references, points),
    h("span", { class: "code", "aria-hidden": "true" }, codes),
  );
  if (shared.length > 1 && (strongest.cue === "named" || strongest.cue === "concept")) made.style.backgroundImage = stripes(shared);
  return made;
}

/** Every perspective's colour side by side, for a reference that is of several. */
function stripes(perspectives) {
  const width = 100 / perspectives.length;
  const parts = perspectives.map((name, i) => `${colours[name]} ${i * width}% ${(i + 1) * width}%`);
  return `linear-gradient(90deg, ${parts.join(", ")})`;
}

let codes = {};
let colours = {};

/** The letters and the colour of each perspective, once known. */
export function setPerspectives(perspectives) {
  codes = Object.fromEntries(perspectives.map((each) => [each.name, each.code]));
  colours = Object.fromEntries(perspectives.map((each) => [each.name, each.colour]));
}

/** Two letters for a perspective. */
export function codeOf(perspective) {
  return codes[perspective] ?? perspective.slice(0, 2);
}

/** A perspective's name as words. */
export function words(name) {
  return name.replaceAll("_", " ");
}

/** A number with its thousands apart; a dash where there is none. */
export function count(value) {
  return value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en");
}

/** A part of one as a percentage. */
export function percent(value) {
  return value === null || value === undefined ? "–" : `${Math.round(100 * value)}%`;
}

/** Money, as exactly as small sums need. */
export function money(usd) {
  if (usd === 0) return "0 USD";
  return usd < 0.01 ? "under 0.01 USD" : `${usd.toFixed(2)} USD`;
}

/** Seconds, short. */
export function seconds(value) {
  return value < 10 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`;
}
