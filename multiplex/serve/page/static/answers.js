/** One question and what comes of it: the voices as they come, the answers beside one another, what was measured. */

import { answerView } from "./answer.js";
import { get, post, sentence } from "./api.js";
import { askForm } from "./ask.js";
import { count, fill, h, prose } from "./dom.js";
import { keeping } from "./keeping.js";
import { figures, legend } from "./measures.js";
import { stances } from "./stance.js";
import { finish, progress, voiceCard, waitingCard } from "./voices.js";
import { closeReference } from "./why.js";

const AGAIN = 2000; // milliseconds until a broken connection is looked at again
const NARROW = matchMedia("(max-width: 50rem)");
const ABOUT = { multiplex: "the council's answer", uniplex: "the same model, simply asked", contextual: "told to consider several worldviews" };

/** Show a question, under way or answered. Returns what is to be done when it is left. */
export async function answerPage(main, id, setup, go) {
  const view = await get(`/page/answers/${encodeURIComponent(id)}`);
  document.title = `${view.question.slice(0, 60)} · multiplex`;
  const page = h("div", { class: "page" });
  fill(main, page);
  const shared = { page, view, setup, go, stops: [], left: false };
  if (view.state === "speaking") follow(shared);
  else ended(shared, view);
  return () => {
    shared.left = true; // what is on its way neither shows nor asks anything any more
    shared.stops.splice(0).forEach((stop) => stop());
  };
}

function heading(view) {
  const thread = view.thread.length
    ? h(
        "nav",
        { class: "thread", "aria-label": "Earlier in this conversation" },
        h("ol", {}, view.thread.map((each) => h("li", {}, h("a", { href: `/answers/${encodeURIComponent(each.id)}`, dir: "auto" }, each.question ?? "An earlier question, which cannot be read now")))),
      )
    : null;
  const long = view.question.length > 200; // such a heading scrolls, so a keyboard must reach it
  return [thread, h("h1", { dir: "auto", class: long ? "long" : null, tabindex: long ? "0" : null }, view.question)];
}

// --- under way

function follow(shared) {
  const { view, setup, page } = shared;
  const council = setup.councils.find((each) => each.name === view.council);
  const personas = view.strategies.includes("multiplex") && council ? council.personas.map((name) => setup.personas[name]) : [];
  const cards = new Map(personas.map((persona) => [persona.perspective, waitingCard(persona)]));
  const grid = h("div", { class: "voices" }, [...cards.values()]);
  const status = h("p", { class: "now", role: "status" });
  const clock = h("span", { class: "clock", "aria-hidden": "true" });
  const cancel = h("button", { type: "button", id: "cancel" }, "Cancel");
  const drafts = new Map(view.strategies.map((name) => [name, draft(name)]));
  const model = setup.models.find((each) => each.name === view.model);
  const local = model?.local ?? false;
  const live = { personas, cards, grid, status, drafts, local, begun: false, came: 0, lost: 0 };
  cancel.addEventListener("click", async () => {
    cancel.disabled = true;
    try {
      await post(`/page/answers/${encodeURIComponent(view.id)}/cancel`);
      status.textContent = "Cancelling ...";
    } catch (error) {
      status.textContent = error.message;
      cancel.disabled = error.status === 404;
    }
  });
  shared.voices = personas.length ? h("section", { "aria-labelledby": "voices-title" }, h("h2", { id: "voices-title" }, "The voices, in the order in which they come"), grid) : null;
  fill(
    page,
    heading(view),
    h("div", { class: "under-way" }, status, clock, view.mine ? cancel : null),
    model?.warning && personas.length ? h("p", { class: "trouble lost" }, sentence(model.warning)) : null,
    panels(personas.length ? "listening" : "speaking", view.strategies.map((name) => [name, drafts.get(name).element]), shared),
    shared.voices,
  );
  say(live);
  const started = Date.now() - 1000 * view.seconds;
  const ticking = setInterval(() => (clock.textContent = `${Math.round((Date.now() - started) / 1000)} s`), 1000);
  const source = new EventSource(`/page/answers/${encodeURIComponent(view.id)}/events`);
  shared.stops.push(() => clearInterval(ticking), () => source.close());
  source.onmessage = (message) => hear(JSON.parse(message.data), live, shared);
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) again(shared, live);
    else status.textContent = "The connection broke; trying again. What has been asked goes on.";
  };
}

/** A stream that ended or was refused: the question may be over by now, or the server gone. `note` is of its end. */
async function again(shared, live, note = null) {
  try {
    const view = await get(`/page/answers/${encodeURIComponent(shared.view.id)}`);
    if (shared.left) return;
    shared.stops.splice(0).forEach((stop) => stop());
    shared.view = view;
    if (view.state === "ended") ended(shared, view, note);
    else follow(shared);
  } catch (error) {
    if (shared.left) return;
    const told = [note, error.message].filter(Boolean).map(sentence).join(" ");
    live.status.textContent = told;
    if (error.status === 404) {
      shared.stops.splice(0).forEach((stop) => stop());
      fill(shared.page, heading(shared.view), h("p", { class: "trouble", role: "alert" }, told), h("p", {}, h("a", { href: "/" }, "Ask again")));
      return;
    }
    const timer = setTimeout(() => again(shared, live, note), AGAIN);
    shared.stops.push(() => clearTimeout(timer));
  }
}

function hear(event, live, shared) {
  if (event.type === "voice.started") {
    progress(card(live, event.perspective), "thinking");
  } else if (event.type === "live") {
    if (!live.begun && (Object.keys(event.tokens).length || Object.keys(event.tails).length)) {
      live.begun = true;
      say(live);
    }
    for (const [name, tokens] of Object.entries(event.tokens)) progress(card(live, name), `speaking: ${count(tokens)} ${tokens === 1 ? "token" : "tokens"} so far`);
    for (const [name, tail] of Object.entries(event.tails)) live.drafts.get(name)?.grow(tail);
  } else if (event.type === "voice") {
    arrive(event.voice, live, shared.setup);
  } else if (event.type === "draft") {
    live.drafts.get(event.strategy)?.add(event.prose);
  } else if (event.type === "void") {
    live.drafts.get(event.strategy)?.begin(`The model broke off (${event.reason}); ${event.failed ? "the voices stand beside one another" : "it begins again"}.`);
  } else if (event.type === "written") {
    live.drafts.get(event.strategy)?.done();
  } else if (event.type === "failed") {
    live.drafts.get(event.strategy)?.fail(event.error);
  } else if (event.type === "drafted") {
    live.making = `An essay of ${count(event.words)} words is drafted; it is read against the voices.`;
  } else if (event.type === "checked") {
    live.making = event.found ? `The check found ${count(event.found)} ${event.found === 1 ? "thing" : "things"}; the essay is revised.` : "The check found nothing.";
  } else if (event.type === "synthesis.started") {
    live.synthesis = true;
    shared.page.querySelector("#answer").dataset.state = "speaking";
  } else if (event.type === "stances") {
    live.making = "The voices are asked which option they would choose.";
  } else if (event.type === "ended") {
    finishUp(shared, live, event.note);
    return;
  }
  if (event.type !== "live") say(live);
}

function card(live, perspective) {
  return live.cards.get(perspective) ?? h("article");
}

function arrive(voice, live, setup) {
  const place = card(live, voice.perspective);
  const persona = setup.personas[voice.digest] ?? null;
  finish(place, voice, persona);
  const waiting = [...live.grid.children].find((each) => ["waiting", "speaking"].includes(each.dataset.state));
  if (waiting && waiting !== place && place.compareDocumentPosition(waiting) & Node.DOCUMENT_POSITION_PRECEDING) live.grid.insertBefore(place, waiting);
  live.begun = true;
  live.came += voice.error === null ? 1 : 0;
  live.lost += voice.error === null ? 0 : 1;
  live.last = `${voice.title} ${voice.error === null ? "has spoken" : "was lost"}`;
}

function say(live) {
  const all = live.personas.length;
  const lost = live.lost ? `, ${live.lost} lost` : "";
  if (live.local && !live.begun) {
    live.status.textContent = "The model on this machine loads and reads; its first words take a minute.";
    return;
  }
  const voices = all ? `${live.came} of ${all} voices have spoken${lost}.` : "The model is answering.";
  const last = live.last && !live.synthesis ? ` ${live.last}.` : "";
  const text = live.synthesis ? `${voices} ${live.making ?? "The answer is being made of them."}` : `${voices}${last}`;
  if (live.status.textContent !== text) live.status.textContent = text;
}

function finishUp(shared, live, note) {
  shared.stops.splice(0).forEach((stop) => stop());
  live.status.textContent = "Ready.";
  again(shared, live, note);
}

/** An answer as it is written: whole paragraphs, and one that grows. */
function draft(name) {
  const whole = h("div", { class: "prose" });
  const tail = h("p", { class: "tail", dir: "auto" });
  const note = h("p", { class: "soft" }, name === "multiplex" ? "The answer is made when the voices have spoken." : "Waiting for the model.");
  const begun = () => (note.hidden = true);
  return {
    element: h("div", { class: "answer" }, note, whole, tail),
    grow: (text) => {
      if (text) begun();
      tail.textContent = text;
    },
    add: (nodes) => {
      begun();
      whole.append(prose(nodes));
      tail.textContent = "";
    },
    begin: (why) => {
      note.hidden = false;
      note.textContent = why;
      fill(whole);
      tail.textContent = "";
    },
    done: () => {
      note.hidden = false;
      note.textContent = "Written; it is being measured.";
    },
    fail: (why) => {
      note.hidden = false;
      note.className = "trouble";
      note.textContent = sentence(why);
      tail.textContent = "";
    },
  };
}

// --- answered

function ended(shared, view, note = null) {
  const { page, setup, go } = shared;
  shared.view = view;
  const names = view.strategies.filter((name) => name in view.answers);
  const views = names.map((name) => view.answers[name]);
  const shown = view.strategies.map((name) => [name, name in view.answers ? answerView(view.answers[name]) : h("p", { class: "trouble", dir: "auto" }, sentence(view.failed[name]) ?? "There is no answer.")]);
  const form = view.mine ? askForm(setup, { label: "Ask on in this conversation", go, after: view.id, chosen: view }) : null;
  if (form) shared.stops.push(form.stop);
  closeReference();
  const seen = shared.voices?.getBoundingClientRect().top ?? null;
  for (const card of shared.voices?.querySelectorAll('[data-state="waiting"], [data-state="speaking"]') ?? []) card.remove();
  const reading = shared.voices !== null && shared.voices !== undefined && seen !== null && seen < 0; // a card
  const essay = view.answers.multiplex?.form === "essay";
  const voices = view.voices.length ? (essay ? spoken(view, setup, reading) : (shared.voices ?? spoken(view, setup))) : null;
  shared.stops.push(followLinks(page));
  fill(
    page,
    heading(view),
    view.asked !== view.question ? h("p", { class: "soft", dir: "auto" }, `Put to the voices as: ${view.asked}`) : null,
    note ? h("p", { class: "trouble", role: "alert", dir: "auto" }, sentence(note)) : null,
    warnings(view),
    panels("ended", shown, shared),
    views.some((each) => each.measures) ? legend(setup) : null,
    stances(view.stance),
    voices,
    figures(views, view.frame, setup),
    keeping(shared),
    h("section", { class: "further", "aria-label": "Ask on" }, form?.element ?? h("p", { class: "soft" }, "Only the key that began this conversation can ask on in it. ", h("a", { href: "/" }, "Ask a question of your own"))),
  );
  if (voices && reading) window.scrollBy(0, voices.getBoundingClientRect().top - seen);
}

function warnings(view) {
  const lost = view.voices.filter((voice) => voice.error !== null);
  if (view.silent.length) return h("p", { class: "trouble lost", role: "status" }, `The question ended before these voices had spoken: ${view.silent.join(", ")}.`);
  if (!lost.length) return null;
  const council = view.answers.multiplex;
  if (council?.missing) return h("p", { class: "trouble lost", role: "status", lang: council.language, dir: council.direction }, council.missing);
  const titles = lost.map((voice) => voice.title).join(", ");
  const text = view.voices.every((voice) => voice.error !== null)
    ? `All voices were lost (${titles}); each card says why. The page goes on: ask again, or ask something else.`
    : `${lost.length} of ${view.voices.length} voices ${lost.length === 1 ? "was" : "were"} lost: ${titles}. The card says why.`;
  return h("p", { class: "trouble lost", role: "status" }, text);
}

/** The voices; those behind an essay are folded, unless a reader was reading one. */
function spoken(view, setup, open = false) {
  if (!view.voices.length) return null;
  const council = view.answers.multiplex;
  const names = council?.names ?? [];
  const folded = council?.form === "essay";
  const cards = h("div", { class: "voices" }, view.voices.map((voice) => voiceCard(voice, setup.personas[voice.digest] ?? null, names)));
  const title = "The voices, in the order in which they came";
  const made = view.voices.filter((voice) => voice.states).length; // of those that were lost, or found nothing, it is not
  return h(
    "section",
    { "aria-labelledby": "voices-title" },
    h("h2", { id: "voices-title" }, title),
    folded ? h("details", { id: "voices", open }, h("summary", {}, `What the essay is made of: ${made} ${made === 1 ? "voice" : "voices"}`), cards) : cards,
  );
}

/** Follow a link between the essay and its voices: open what is folded, and let the reader see where they are. */
export function followLinks(page) {
  const listen = (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    const place = link && document.getElementById(link.getAttribute("href").slice(1));
    if (!place || !page.contains(place)) return;
    event.preventDefault();
    for (let each = place.parentElement; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
    place.scrollIntoView({ block: place.matches("article") ? "start" : "center" });
    if (!place.matches("a, article")) place.tabIndex = -1;
    place.focus({ preventScroll: true });
  };
  page.addEventListener("click", listen);
  return () => page.removeEventListener("click", listen);
}

// --- answers beside one another, or as tabs where there is no room

function panels(state, shown, shared) {
  const begun = Math.max(0, shown.findIndex(([name]) => name === shared.tab));
  const tabs = shown.map(([name], i) =>
    h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, "aria-selected": String(i === begun), tabindex: i === begun ? "0" : "-1" }, name),
  );
  const held = shown.map(([name, element]) =>
    h("section", { id: `panel-${name}`, class: "panel", "aria-labelledby": `title-${name}` }, h("h2", { id: `title-${name}` }, name, h("span", { class: "soft" }, ABOUT[name] ?? "")), element),
  );
  const list = h("div", { class: "tabs", role: "tablist", "aria-label": "Answers" }, tabs);
  const select = (chosen) => {
    shared.tab = shown[chosen][0];
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === chosen));
      tab.tabIndex = i === chosen ? 0 : -1;
    });
    arrange();
  };
  const arrange = () => {
    const narrow = NARROW.matches && shown.length > 1;
    list.hidden = !narrow;
    held.forEach((panel, i) => {
      panel.hidden = narrow && tabs[i].getAttribute("aria-selected") !== "true";
      if (narrow) panel.setAttribute("role", "tabpanel");
      else panel.removeAttribute("role");
      panel.setAttribute("aria-labelledby", narrow ? `tab-${shown[i][0]}` : `title-${shown[i][0]}`);
    });
  };
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => select(i));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = (i + step + tabs.length) % tabs.length;
      select(next);
      tabs[next].focus();
    });
  });
  NARROW.addEventListener("change", arrange);
  shared.stops.push(() => NARROW.removeEventListener("change", arrange));
  arrange();
  return h("section", { id: "answer", "data-state": state, "aria-label": "Answers", class: "answers" }, list, h("div", { class: `columns n${shown.length}` }, held));
}
