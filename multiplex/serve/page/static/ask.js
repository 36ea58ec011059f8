/** Asking: the form, what it will cost, examples and the history of this browser. */

import { post, sentence } from "./api.js";
import { count, fill, h, money } from "./dom.js";
import { historyList, remember } from "./history.js";
import { options } from "./stance.js";

const SHOWN = 4; // examples at once
const MOST = 9; // options between which voices choose
const PAUSE = 400; // milliseconds without a key before the estimate is asked again
const drafts = new Map(); // what was written and not asked yet, by the exchange that it follows: a session may end meanwhile

/** The first view. Returns what is to be done when it is left. */
export function askPage(main, setup, go) {
  const form = askForm(setup, { label: "Your question", go });
  const history = historyList();
  fill(
    main,
    h("h1", {}, "One question, several worldviews"),
    h(
      "p",
      { class: "lede" },
      "A council of culture personas answers side by side, a synthesis keeps their differences, and the answer is measured next to what the same model says when it is simply asked.",
    ),
    form.element,
    examples(setup, form),
    history,
  );
  return form.stop;
}

/** The form for a question; `after` is the exchange that it follows, with the choices made there. */
export function askForm(setup, { label, go, after = null, chosen: before = {} }) {
  const draft = drafts.get(after);
  const chosen = draft ?? before;
  const question = h("textarea", { id: "question", rows: after ? 2 : 3, dir: "auto", "aria-describedby": "told estimate", autocomplete: "off" });
  const told = h("p", { id: "told", class: "trouble", role: "alert" });
  const estimate = h("p", { id: "estimate", class: "soft", role: "status" });
  const button = h("button", { id: "ask", type: "submit", class: "main" }, after ? "Ask on" : "Ask");
  const councils = choice("council", "Council", setup.councils.map((each) => [each.name, `${each.name} (${each.personas.length} voices)`]), chosen.council);
  const models = choice("model", "Model", setup.models.map((each) => [each.name, each.local ? `${each.name} (on this machine)` : `${each.name} at ${each.place}`]), chosen.model);
  const strategies = ways(setup, chosen.strategies);
  const stance = closed();
  question.value = draft?.question ?? "";
  stance.field.value = draft?.stance ?? "";
  const model = () => setup.models.find((each) => each.name === models.value());
  stance.allow(model().stance);

  const wanted = () => ({
    question: question.value.trim(),
    council: councils.value(),
    model: models.value(),
    strategies: strategies.value(),
    ...(stance.value() ? { stance: stance.value() } : {}),
    ...(after ? { after } : {}),
  });
  const wrong = () => {
    const { limit } = model();
    const length = [...question.value.trim()].length;
    if (length > limit) return [`The question has ${count(length)} characters; this model takes at most ${count(limit)}. Shorten it.`, question];
    if (!strategies.value().length) return ["Choose at least one way to answer."];
    const between = options(stance.value());
    if (!stance.value()) return [""];
    if (!strategies.value().includes("multiplex")) return ["Options are put to the voices of the council: choose multiplex too, or leave them out.", stance.field];
    if (between.length < 2 || between.length > MOST || new Set(between).size < between.length) return [`Write from two to ${MOST} different options, with | between them, such as agree | disagree.`, stance.field];
    return [""];
  };

  let timer = null;
  let asked = 0;
  let refused = false; // whether what is told is why the question was not taken, which holds until it is changed
  const reckon = async () => {
    const number = ++asked;
    stance.allow(model().stance);
    const [why, field] = wrong();
    if (!refused) told.textContent = why;
    for (const each of [question, stance.field]) each.toggleAttribute("aria-invalid", false);
    if (why) {
      field?.setAttribute("aria-invalid", "true");
      fill(estimate);
      return;
    }
    try {
      const made = await post("/page/estimate", wanted());
      if (number === asked) fill(estimate, cost(made));
    } catch (error) {
      if (number === asked) fill(estimate, `What it will cost cannot be told: ${error.message}`);
    }
  };
  let once = null; // of the question as it is written: one that is sent again is asked once
  const soon = () => {
    once = null;
    refused = false;
    drafts.set(after, wanted());
    clearTimeout(timer);
    timer = setTimeout(reckon, PAUSE);
  };

  const send = async (event) => {
    event.preventDefault();
    if (button.disabled) return; // it is being sent
    const [why, field] = question.value.trim() ? wrong() : ["Write a question first."];
    told.textContent = why;
    if (why) {
      (field ?? question).focus();
      return;
    }
    button.disabled = true;
    try {
      once ??= word();
      const { id } = await post("/page/answers", { ...wanted(), once });
      drafts.delete(after);
      remember(id, question.value.trim());
      go(`/answers/${id}`);
    } catch (error) {
      told.textContent = sentence(error.message);
      refused = true;
      button.disabled = false;
    }
  };

  const element = h(
    "form",
    { class: "ask", onsubmit: send, oninput: soon }, // no onchange: it comes when a field is only left
    h("label", { for: "question", class: "big" }, label),
    question,
    told,
    h("div", { class: "choices" }, councils.element, models.element, strategies.element),
    stance.element,
    h("div", { class: "go" }, button, estimate),
  );
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) element.requestSubmit();
  });
  reckon();
  return {
    element,
    write: (text) => {
      question.value = text;
      question.focus();
      soon();
    },
    stop: () => clearTimeout(timer),
  };
}

/** A word that nobody else thinks of. */
function word() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join("");
}

function choice(name, label, options, chosen) {
  if (options.length < 2) return { element: h("p", { class: "one" }, `${label}: `, h("bdi", {}, options[0][1])), value: () => options[0][0] };
  const select = h("select", { id: name }, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  return { element: h("p", {}, h("label", { for: name }, label), select), value: () => select.value };
}

/** Options between which each voice is asked to choose, where the question is a closed one. */
function closed() {
  const field = h("input", { type: "text", id: "stance", dir: "auto", maxlength: "1000", placeholder: "agree | disagree", autocomplete: "off", "aria-describedby": "stance-about told" });
  const about = h("span", { id: "stance-about", class: "line soft" });
  return {
    field,
    element: h("p", { class: "closed" }, h("label", { for: "stance" }, "Options, if it is a closed question"), field, about),
    value: () => (field.disabled ? "" : field.value.trim()),
    allow: (can) => {
      field.disabled = !can;
      about.textContent = can ? "With | between them. Each voice is then also asked how likely it is to choose each: two more calls a voice." : "A small model states nothing, so its voices choose no option.";
    },
  };
}

function ways(setup, chosen) {
  const boxes = setup.strategies.map((each) => {
    const box = h("input", { type: "checkbox", id: `way-${each.name}`, value: each.name, checked: chosen ? chosen.includes(each.name) : each.asked });
    return [box, h("li", {}, box, h("label", { for: `way-${each.name}` }, h("strong", {}, each.name), `: ${each.about}`))];
  });
  return {
    element: h("fieldset", {}, h("legend", {}, "Answered by"), h("ul", { class: "plain" }, boxes.map(([, item]) => item))),
    value: () => boxes.filter(([box]) => box.checked).map(([box]) => box.value),
  };
}

function cost(made) {
  const calls = `${count(made.calls)} ${made.calls === 1 ? "call" : "calls"}`;
  if (!made.paid) return `This will take ${calls} of the model on this machine: nothing is paid, and it takes a minute or more.`;
  const tokens = `about ${count(made.input_tokens)} tokens in and ${count(made.output_tokens)} out`;
  const price = made.usd === null ? "the price is not known here (the server reads it from --prices)" : `about ${money(made.usd)}`;
  const more = made.revisions ? " (one more if the essay is revised)" : "";
  const places = made.places.flatMap((place, i) => [i ? " and " : " to ", h("bdi", {}, place)]);
  return ["This will take ", calls, more, ...places, `, ${tokens}: ${price}.`];
}

function examples(setup, form) {
  if (!setup.examples.length) return null;
  const list = h("ul", { class: "plain examples" });
  const show = () => {
    const drawn = [...setup.examples].sort(() => Math.random() - 0.5).slice(0, SHOWN);
    fill(
      list,
      drawn.map((each) =>
        h("li", {}, h("button", { type: "button", class: "example", onclick: () => form.write(each.question) }, h("span", { class: "soft" }, each.domain), each.question)),
      ),
    );
  };
  show();
  return h(
    "section",
    { "aria-labelledby": "examples-title" },
    h("h2", { id: "examples-title" }, "Or begin with one of these"),
    list,
    h("button", { type: "button", class: "quiet", onclick: show }, "Others"),
  );
}
