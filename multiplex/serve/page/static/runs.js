// Benchmark runs: the list of runs, the units of one, and any unit whole.
//
// What is looked for stands in the address, so that a link leads back to it. Each view lives in an element of its own:
// a reply that comes after the reader has gone elsewhere changes nothing that is shown.

import { answerView } from "./answer.js";
import { get } from "./api.js";
import { count, h } from "./dom.js";
import { voiceCard } from "./voices.js";

const NOTHING = "–";
const FILTERS = ["text", "model", "strategy", "state"];
const STATES = ["done", "failed", "pending"];
const PAUSE = 250; // milliseconds without a key before a search begins

/** Fills `main` with what stands at an address that begins with /runs. */
export async function runsPage(main, path) {
  const address = new URL(path, location.href);
  const search = new URLSearchParams(address.search || location.search);
  const page = h("section", { class: "runs" });
  main.replaceChildren(page);
  const names = decoded(address.pathname);
  if (names === null || names.length > 2) {
    titled(page, "Benchmark runs").append(
      h("p", {}, "There is no such page. ", h("a", { href: "/runs" }, "See the runs that are here.")),
    );
  } else if (names.length === 0) {
    await showRuns(page);
  } else if (names.length === 1) {
    await showUnits(page, names[0], search);
  } else {
    await showUnit(page, names[0], names[1], search);
  }
}

/** The names after /runs in a path; null where they are no text. */
function decoded(path) {
  try {
    return path.split("/").slice(2).filter(Boolean).map(decodeURIComponent);
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}

// --- the runs

async function showRuns(page) {
  const body = titled(page, "Benchmark runs");
  await loaded(body, "Loading the runs …", () => get("/page/runs"), ({ runs, unread }) => [
    runs.length ? runsTable(runs) : h("p", {}, "No run is here yet. `multiplex bench run` makes one."),
    unread.length ? unreadRuns(unread) : null,
  ]);
}

function runsTable(runs) {
  const columns = [
    column("Run", (run) => h("a", { href: at(run.name), dir: "auto" }, run.name), "words"),
    column("Questions", (run) => count(run.questions), "number"),
    column("Models", (run) => lines(run.models), "names"),
    column("Strategies", (run) => lines(run.strategies), "words"),
    column("Units", (run) => lines(STATES.map((state) => `${count(run[state])} ${state}`)), "number"),
    column("Tokens", (run) => (run.tokens === null ? "not reported" : count(run.tokens)), "number"),
    column("Last change", (run) => moment(run.changed), "words"),
    column("Report", reportLink, "words"),
  ];
  const said = `${plural(runs.length, "run")}. Open one to read its units; its report opens in a new tab.`;
  return grid(h("caption", { dir: "auto" }, said), columns, runs);
}

function reportLink(run) {
  if (!run.report) return h("span", { class: "runs-soft" }, "not written yet");
  const href = `/reports/${encodeURIComponent(run.name)}`;
  const of = h("span", { class: "runs-unseen" }, ` of ${run.name}, in a new tab`);
  return h("a", { href, target: "_blank", rel: "noopener" }, "Report", of);
}

function unreadRuns(unread) {
  const each = unread.map((line) => h("li", { dir: "auto" }, line));
  return h("div", { class: "runs-warning" }, h("h2", {}, "Not readable"), h("ul", {}, each));
}

// --- the units of one run

async function showUnits(page, name, search) {
  const body = titled(page, name, back("/runs", "All runs"));
  const asked = Object.fromEntries(FILTERS.map((filter) => [filter, search.get(filter) ?? ""]));
  await loaded(body, "Loading the units …", () => unitsOf(name, asked, 0), (first) => {
    const list = unitList(name, asked);
    list.show(first);
    return [searchForm(first, asked, list.again), list.element];
  });
}

function unitsOf(name, asked, after) {
  return get(`/page/runs/${encodeURIComponent(name)}/units?${new URLSearchParams({ ...asked, after })}`);
}

/** The search box and the selects; they write into `asked`, then call `changed`. */
function searchForm(first, asked, changed) {
  let waiting = 0;
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(changed, PAUSE);
  };
  const box = h("input", { type: "search", id: "runs-text", value: asked.text, autocomplete: "off", dir: "auto" });
  box.addEventListener("input", () => {
    asked.text = box.value;
    later();
  });
  const chosen = (filter) => (value) => {
    asked[filter] = value;
    changed();
  };
  const label = h("label", { for: "runs-text" }, "Words of the question, or a unit's id");
  return h(
    "form",
    { class: "runs-search", role: "search", onsubmit: (event) => event.preventDefault() },
    h("div", { class: "runs-field runs-wide" }, label, box),
    select("Model", "model", first.models, asked.model, chosen("model")),
    select("Strategy", "strategy", first.strategies, asked.strategy, chosen("strategy")),
    select("State", "state", STATES, asked.state, chosen("state")),
  );
}

function select(label, name, values, value, chosen) {
  const id = `runs-${name}`;
  const known = value && !values.includes(value) ? [value, ...values] : values;
  const options = known.map((each) => h("option", { value: each }, each));
  const element = h("select", { id }, h("option", { value: "" }, "all"), options);
  element.value = value;
  element.addEventListener("change", () => chosen(element.value));
  return h("div", { class: "runs-field" }, h("label", { for: id }, label), element);
}

/** The rows found so far, how many there are, and the button that brings more. */
function unitList(name, asked) {
  const number = h("p", { class: "runs-count", role: "status" });
  const trouble = h("div", {});
  const rows = h("div", {});
  const more = h("button", { type: "button", class: "runs-more" }, "Show more");
  const element = h("div", {}, number, trouble, rows, more);
  let shown = [];
  let next = null;
  let turn = 0; // replies may overtake one another: only the last one asked for is shown

  function show(found) {
    const fresh = shown.length;
    shown = [...shown, ...found.units];
    next = found.next;
    more.hidden = next === null;
    trouble.replaceChildren();
    number.textContent = told(shown.length, found.total);
    rows.replaceChildren(shown.length ? unitsTable(name, asked, shown) : "");
    if (fresh > 0) rows.querySelectorAll("tbody a")[fresh]?.focus();
  }

  async function ask(after) {
    turn += 1;
    const mine = turn;
    element.setAttribute("aria-busy", "true");
    try {
      const found = await unitsOf(name, asked, after);
      if (mine === turn) show(found);
    } catch (error) {
      if (mine === turn) trouble.replaceChildren(refused(error, () => ask(after)));
    } finally {
      if (mine === turn) element.removeAttribute("aria-busy");
    }
  }

  function again() {
    if (!element.isConnected) return;
    history.replaceState(history.state, "", location.pathname + query(asked));
    shown = [];
    ask(0);
  }

  more.hidden = true;
  more.addEventListener("click", () => ask(next));
  return { element, show, again };
}

function told(shown, total) {
  if (total === 0) return "No unit fits. Try fewer words, or “all”.";
  return shown === total ? `${plural(total, "unit")} found.` : `${count(shown)} of ${plural(total, "unit")} shown.`;
}

function unitsTable(name, asked, units) {
  const several = units.some((unit) => unit.epoch > 1);
  const columns = [
    column("Question", (unit) => questionLink(name, asked, unit), "words"),
    column("Model", (unit) => h("span", { dir: "auto" }, unit.model), "names"),
    column("Strategy", (unit) => unit.strategy, "words"),
    ...(several ? [column("Epoch", (unit) => count(unit.epoch), "number")] : []),
    column("State", (unit) => h("span", { class: `runs-state runs-${unit.state}` }, unit.state), "words"),
    column("Entropy", entropy, "number"),
    column("Depth", (unit) => (unit.depth === null ? NOTHING : unit.depth.toFixed(2)), "number"),
    column("References", (unit) => (unit.references === null ? NOTHING : count(unit.references)), "number"),
  ];
  return grid(h("caption", { class: "runs-unseen", dir: "auto" }, `Units of ${name}`), columns, units);
}

function questionLink(name, asked, unit) {
  const about = [unit.domain, unit.id].filter(Boolean).join(", ");
  return [
    h("a", { href: at(name, unit.id) + query(asked), dir: "auto" }, shortened(unit.question)),
    h("span", { class: "runs-soft runs-below", dir: "auto" }, about),
    unit.unread ? h("span", { class: "runs-warning runs-below", dir: "auto" }, unit.unread) : null,
  ];
}

function entropy(unit) {
  if (unit.entropy !== null) return `${unit.entropy.toFixed(1)} %`;
  return unit.references === 0 ? "no reference" : NOTHING;
}

// --- one unit

async function showUnit(page, name, id, search) {
  const kept = Object.fromEntries(FILTERS.map((filter) => [filter, search.get(filter) ?? ""]));
  const body = titled(page, `Unit ${id.slice(0, 8)}`, back(at(name) + query(kept), `Units of ${name}`));
  const address = `/page/runs/${encodeURIComponent(name)}/units/${encodeURIComponent(id)}`;
  await loaded(body, "Loading the unit …", () => get(address), (found) => [
    h("p", { class: "runs-question", dir: "auto" }, found.unit.question),
    facts(found.unit),
    found.note ? h("p", { class: "runs-warning", dir: "auto" }, found.note) : null,
    found.failures.length ? failures(found.failures) : null,
    found.answer ? h("section", {}, h("h2", {}, "Answer"), answerView(found.answer)) : null,
    found.voices.length ? voices(found.voices) : null,
  ]);
}

function facts(unit) {
  const cued = { true: "yes", false: "no" }[unit.cued] ?? "nobody said";
  const each = [
    ["State", unit.state],
    ["Model", unit.model],
    ["Strategy", unit.strategy],
    ["Epoch", count(unit.epoch)],
    ["Domain", unit.domain || NOTHING],
    ["Question", unit.question_id],
    ["Names a culture", cued],
    ["Unit", unit.id],
  ];
  const rows = each.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { dir: "auto" }, value)));
  return h("dl", { class: "runs-facts" }, rows);
}

function failures(found) {
  const each = found.map((line) => h("li", { dir: "auto" }, line));
  return h("section", { class: "runs-warning" }, h("h2", {}, "What failed"), h("ul", {}, each));
}

function voices(found) {
  const lost = found.filter((voice) => voice.error !== null).length;
  const rounds = new Set(found.map((voice) => voice.round)).size;
  const said = [plural(found.length, "voice"), lost ? `${lost} lost` : "", rounds > 1 ? `${rounds} rounds` : ""];
  const cards = h("div", { class: "runs-voices" }, found.map((voice) => voiceCard(voice)));
  return h("details", { class: "runs-folded" }, h("summary", {}, said.filter(Boolean).join(", ")), cards);
}

// --- what the views are made of

/** Gives the page its heading, below a link back; the element beneath it, where a view stands. */
function titled(page, title, above = "") {
  const body = h("div", {});
  document.title = `${title} · multiplex`;
  page.replaceChildren(above, h("h1", { tabindex: "-1", dir: "auto" }, title), body);
  return body;
}

/** Shows what `load` brings; where it brings an error, that, and a button to try again. */
async function loaded(body, waiting, load, view) {
  body.replaceChildren(h("p", { class: "runs-soft", role: "status" }, waiting));
  let found;
  try {
    found = await load();
  } catch (error) {
    body.replaceChildren(refused(error, () => loaded(body, waiting, load, view)));
    return;
  }
  body.replaceChildren(...view(found).filter((each) => each !== null));
}

function refused(error, again) {
  const button = h("button", { type: "button" }, "Try again");
  button.addEventListener("click", () => {
    button.disabled = true;
    again();
  });
  return h("div", { class: "runs-warning", role: "alert" }, h("p", { dir: "auto" }, error.message), button);
}

function column(name, cell, kind) {
  return { name, cell, kind };
}

/** A table that becomes a card a row on a narrow screen; roles are said, since `display` takes them away. */
function grid(caption, columns, rows) {
  const head = columns.map(({ name, kind }) =>
    h("th", { role: "columnheader", scope: "col", class: `runs-${kind}` }, name),
  );
  const line = (row) =>
    columns.map(({ name, cell, kind }, place) => {
      const about = { class: `runs-${kind}`, "data-name": name };
      return place === 0
        ? h("th", { ...about, role: "rowheader", scope: "row" }, cell(row))
        : h("td", { ...about, role: "cell" }, cell(row));
    });
  return h(
    "table",
    { class: "runs-table", role: "table" },
    caption,
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
    h("tbody", { role: "rowgroup" }, rows.map((row) => h("tr", { role: "row" }, line(row)))),
  );
}

function at(...names) {
  return ["/runs", ...names.map(encodeURIComponent)].join("/");
}

function query(asked) {
  const given = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
  return given.size ? `?${given}` : "";
}

function back(href, text) {
  const arrow = h("span", { "aria-hidden": "true" }, "← ");
  return h("p", { class: "runs-back" }, h("a", { href, dir: "auto" }, arrow, text));
}

function lines(texts) {
  return h("span", {}, texts.map((text) => h("span", { class: "runs-line", dir: "auto" }, text)));
}

function moment(text) {
  if (!text) return "never";
  const [day, hour] = text.split("T");
  return h("time", { datetime: text }, lines([day, hour.replace("+00:00", " UTC")]));
}

function shortened(text, most = 240) {
  return text.length > most ? `${[...text].slice(0, most).join("")} …` : text;
}

function plural(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}
