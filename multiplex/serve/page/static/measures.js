/** What was measured, beside one another: every figure with a line on what it means and what it does not. */

import { codeOf, count, h, percent, words } from "./dom.js";

/** The figures of the answers, by strategy in the order given; null where nothing was measured. */
export function figures(views, frame, setup) {
  const measured = views.filter((view) => view.measures);
  if (!measured.length) return null;
  return h(
    "section",
    { class: "figures", "aria-labelledby": "figures-title" },
    h("h2", { id: "figures-title" }, "What was measured"),
    h(
      "p",
      { class: "soft" },
      `Counted over the frame ${frame.map(words).join(", ")}; cues ${measured[0].measures.cues.join(" and ")}. What our own code wrote, and echoes of the question, are left out.`,
    ),
    shares(measured, frame),
    numbers(measured),
    tones(measured, frame),
    retention(measured),
    reliability(setup.reliability),
  );
}

function shares(views, frame) {
  const rows = frame.map((name) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("span", { class: `swatch of-${name}` }), words(name)),
      views.map((view) => h("td", { class: `of-${name}` }, bar(view.measures.n ? view.measures.shares[name] : null), shareText(view.measures, name))),
    ),
  );
  return table(
    "Shares of the perspectives",
    "How the references divide: the Perspectives Distribution Score. A sentence that names a people, tradition or idea counts once for its perspective, however many of its words point there; n is their number. It does not say how well they are understood.",
    ["perspective", ...views.map((view) => `${view.strategy} (n = ${view.measures.n})`)],
    rows,
  );
}

function shareText(measures, name) {
  return measures.n ? `${percent(measures.shares[name])} (${measures.counts[name]})` : "–";
}

function bar(value) {
  const inner = h("span", { class: "filled" });
  inner.style.inlineSize = `${100 * (value ?? 0)}%`;
  return h("span", { class: "track", "aria-hidden": "true" }, inner);
}

const one = (value, digits, unit = "") => (value === null || value === undefined ? "–" : `${value.toFixed(digits)}${unit}`);

const ROWS = [
  ["entropy", (m) => one(m.entropy, 1, "%"), "How evenly the references spread over the frame; 100% is even. Even is a convention, not an ideal, and few references push it down: read it with n. It counts names, so it does not show that an answer is good, true or fair."],
  ["depth", (m) => one(m.depth?.index, 2), "How far the text goes beyond naming: the part of the references that are more than labels, times ln(1 + holders a perspective). In 20 rated texts it followed readers' ratings, which entropy did not; it does not show that what is said is true."],
  ["labels only", (m) => percent(m.depth?.label_share ?? null), "References that are nothing but the frame's own label, such as “Islamic” or “African thought”."],
  ["holders a perspective", (m) => one(m.depth?.plurality, 2), "How many peoples, persons, schools or texts speak for a perspective that is referred to, as many as would be named equally often."],
  ["inner disagreements", (m) => (m.depth ? count(Object.values(m.depth.disagreements).reduce((a, b) => a + b, 0)) : "–"), "Places that set two holders of one perspective against each other."],
  ["balance of reasons", (m) => one(m.depth?.balance, 0, "%"), "How evenly the words of reasons spread over the frame; none where no reason is given."],
  ["generalising sentences", (m) => percent(m.depth?.generalised ?? null), "Of the sentences with a reference, those that say something of a whole people or tradition, without a holder, a quantifier or a source."],
  ["entropy without names from the prompts", (m) => one(m.entropy_unprompted, 1, "%"), "The same without the names and ideas that stood in our own prompts: what the model brought by itself."],
  ["Hill number (order 1)", (m) => one(m.hill_number, 2), "As many perspectives, referred to equally, would have this entropy."],
  ["excluded perspectives", (m) => percent(m.excluded), "The part of the frame that is never referred to."],
  ["Berger-Parker", (m) => percent(m.berger_parker), "The largest share."],
  ["perspectives in 5 references", (m) => one(m.expected_perspectives, 2), "How many to expect among five references drawn at random; it lets texts with many and with few references be compared. None under five."],
  ["out of frame", (m) => percent(m.out_of_frame), "References to perspectives that the frame leaves out, of all references."],
  ["references per 100 words", (m) => one(m.per_100_words, 1), "Longer answers have more room for references."],
  ["words", (m) => count(m.words), ""],
];

function numbers(measured) {
  const rows = ROWS.flatMap(([name, show, about]) => [
    h("tr", { class: about ? "told" : null }, h("th", { scope: "row" }, name), measured.map((view) => h("td", {}, show(view.measures)))),
    about ? h("tr", {}, h("td", { class: "line", colspan: measured.length + 1 }, about)) : null,
  ]);
  return table("Spread", "", ["figure", ...measured.map((view) => view.strategy)], rows);
}

const TONES = [["positive", "+"], ["neutral", "0"], ["negative", "−"]];

function tones(views, frame) {
  if (!views.some((view) => view.measures.sentiment)) return null;
  const rows = [
    h("tr", {}, h("th", { scope: "row" }, "sentiment", h("span", { class: "line soft" }, "the whole answer")), views.map((view) => toneCell(view.measures.sentiment))),
    ...frame
      .filter((name) => views.some((view) => view.measures.stance[name]))
      .map((name) =>
        h("tr", {}, h("th", { scope: "row" }, h("span", { class: `swatch of-${name}` }), `stance: ${words(name)}`), views.map((view) => toneCell(view.measures.stance[name], view.measures.counts[name]))),
      ),
  ];
  return table(
    "Tone",
    "Mean probabilities of positive (+) / neutral (0) / negative (−), in this order, read sentence by sentence by a classifier, names masked. Stance is the tone of the sentences that refer to a perspective: of the sentences, not an opinion about a people. More positive is not better.",
    ["tone", ...views.map((view) => view.strategy)],
    rows,
  );
}

function toneCell(tone, n) {
  if (!tone) return h("td", {}, "–");
  const parts = TONES.map(([name, sign]) => {
    const part = h("span", { class: `tone ${name}` }, tone[name] >= 0.12 ? sign : "");
    part.style.inlineSize = `${100 * tone[name]}%`;
    return part;
  });
  const text = TONES.map(([name]) => tone[name].toFixed(2)).join(" / ");
  return h("td", {}, h("span", { class: "track", "aria-hidden": "true" }, parts), text, n === undefined ? "" : ` (${n})`);
}

function retention(views) {
  return views
    .filter((view) => view.retention)
    .map((view) => {
      const [head, ...rows] = view.retention.rows;
      const made = table(
        "What the synthesis kept of each voice",
        view.retention.notes.join(" "),
        head,
        rows.map((row) => h("tr", {}, h("th", { scope: "row" }, words(row[0])), row.slice(1).map((cell) => h("td", {}, words(cell))))),
      );
      return h("details", {}, h("summary", {}, "What the synthesis kept of each voice"), made);
    });
}

function reliability(of) {
  if (!of) return null;
  const rows = Object.keys(of.recall).map((name) =>
    h("tr", {}, h("th", { scope: "row" }, h("span", { class: `swatch of-${name}` }), words(name)), h("td", {}, of.precision[name].toFixed(2)), h("td", {}, of.recall[name].toFixed(2))),
  );
  return h(
    "details",
    {},
    h("summary", {}, "How often the extractor is right"),
    table("Precision and recall of the references, by perspective", `On ${of.n} texts that others labelled: ${of.texts}. ${of.note}`, ["perspective", "precision", "recall"], rows),
  );
}

function table(title, about, head, rows) {
  const heads = head.map((name) => h("th", { scope: "col" }, name));
  return h(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": title },
    h("table", {}, h("caption", {}, h("strong", {}, title), about ? h("span", { class: "line soft" }, about) : null), h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows)),
  );
}

/** The shares of one answer as a bar, with its entropy in words; null where nothing was measured. */
export function spread(view) {
  const of = view.measures;
  if (!of) return null;
  if (!of.n) return h("p", { class: "spread soft" }, "No reference to a perspective of the frame: there is no entropy.");
  const parts = of.frame
    .filter((name) => of.counts[name])
    .map((name) => {
      const part = h("span", { class: `part of-${name}`, title: `${words(name)} ${percent(of.shares[name])}` }, of.shares[name] >= 0.08 ? codeOf(name) : "");
      part.style.inlineSize = `${100 * of.shares[name]}%`;
      return part;
    });
  const listed = of.frame.filter((name) => of.counts[name]).map((name) => `${words(name)} ${percent(of.shares[name])}`).join(", ");
  return h(
    "div",
    { class: "spread" },
    h("span", { class: "track", role: "img", "aria-label": `Shares: ${listed}` }, parts),
    h("p", {}, h("strong", {}, `entropy ${one(of.entropy, 0, "%")}`), ` of an even spread, depth ${one(of.depth?.index, 2)}, from ${of.n} ${of.n === 1 ? "reference" : "references"}`),
  );
}

/** What the colours, frames and dots stand for. */
export function legend(setup) {
  const swatches = setup.perspectives.map((each) =>
    h("li", {}, h("span", { class: `swatch of-${each.name}` }), `${words(each.name)} (${each.code})${each.framed ? "" : ", out of frame"}`),
  );
  return h(
    "details",
    { class: "legend", open: window.innerWidth > 800 },
    h("summary", {}, "What the colours mean"),
    h("ul", { class: "plain" }, swatches),
    h("p", { class: "soft" }, "Filled: named or concept, which the headline counts. Framed: a mere place. Faded: an echo of the question. Grey words are our own code's. Point at a reference, or press it, to see why it counts."),
  );
}
