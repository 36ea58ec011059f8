"use strict";
(() => {
  const POINTS = ["rep", "depth", "diff", "true", "read", "use"];
  const byId = (id) => document.getElementById(id);
  const all = (where, what) => [...where.querySelectorAll(what)];
  const set = document.body.dataset.set;
  const steps = all(document, ".step");
  const answers = all(document, ".answer").map((article) => {
    const question = article.closest(".step").dataset.question;
    return { article, question: Number(question), letter: article.dataset.letter, at: `q${question}-${article.dataset.letter}` };
  });
  const fields = all(document, "main input, main textarea:not([readonly])");
  const chosen = (name) => fields.find((field) => field.name === name && field.checked)?.value;
  const words = (id) => byId(id).value.trim().replace(/\s+/g, " ");
  const key = `ratings-${set}`;
  let here = 0;

  // The draft. A browser may refuse to keep one for a page that was opened from disk.
  const kept = () => {
    try { return JSON.parse(localStorage.getItem(key) ?? "{}"); } catch { return {}; }
  };
  const keep = () => {
    const draft = {};
    for (const field of fields) {
      if (field.type === "radio" ? field.checked : field.value) draft[field.name] = field.value;
    }
    try {
      localStorage.setItem(key, JSON.stringify(draft));
    } catch {
      byId("draft").hidden = false;
      byId("draft").textContent = "This browser keeps no draft of this page: do not close it before you have saved the file.";
    }
  };
  const restore = () => {
    const draft = kept();
    for (const field of fields) {
      const value = Object.hasOwn(draft, field.name) ? String(draft[field.name]) : "";
      if (field.type === "radio") field.checked = field.value === value;
      else field.value = value;
    }
    if (Object.keys(draft).length) {
      byId("draft").hidden = false;
      byId("draft").textContent = "Your draft on this device was found and filled in. If it is not yours, delete it under Finish.";
    }
  };

  // What is missing: where, and in words.
  const unrated = (answer) => POINTS.filter((point) => chosen(`${answer.at}-${point}`) === undefined);
  const missing = () => {
    const found = [];
    if (!words("rater")) found.push({ step: 0, to: byId("rater"), text: "Your name or initials" });
    if (chosen("belongs") === undefined) {
      found.push({ step: 0, to: fields.find((field) => field.name === "belongs"), text: "Whether you belong to one of the traditions" });
    } else if (chosen("belongs") === "yes" && !words("tradition")) {
      found.push({ step: 0, to: byId("tradition"), text: "Which tradition you belong to" });
    }
    for (const answer of answers) {
      const left = unrated(answer);
      if (!left.length) continue;
      const names = left.map((point) => byId(`${answer.at}-${point}`).dataset.name);
      found.push({
        step: steps.indexOf(answer.article.closest(".step")),
        to: byId(`${answer.at}-${left[0]}`).querySelector("input"),
        text: `Question ${answer.question}, answer ${answer.letter}: ${left.length === POINTS.length ? "not rated" : names.join(", ")}`,
      });
    }
    return found;
  };

  const show = (step, to) => {
    here = Math.max(0, Math.min(steps.length - 1, step));
    steps.forEach((section, place) => { section.hidden = place !== here; });
    byId("back").disabled = here === 0;
    byId("next").hidden = here === steps.length - 1;
    refresh();
    byId("go").value = String(here);
    if (to === null) return;
    const target = to ?? steps[here].querySelector("h2");
    target.focus({ preventScroll: true });
    if (to) to.closest("fieldset, section").scrollIntoView({ block: "center" });
    else scrollTo(0, 0);
  };

  const refresh = () => {
    const rated = answers.filter((answer) => !unrated(answer).length).length;
    byId("progress").textContent = `${rated} of ${answers.length} answers rated`;
    steps.forEach((section, place) => {
      const of = answers.filter((answer) => answer.article.closest(".step") === section);
      const done = of.length && of.every((answer) => !unrated(answer).length);
      const name = section.dataset.question ? `Question ${section.dataset.question}${done ? " ✓" : ""}` : section.querySelector("h2").textContent;
      byId("go").options[place].textContent = name;
    });
    if (here === steps.length - 1) list();
  };

  const list = () => {
    const found = missing();
    byId("lead").textContent = found.length ? "Still missing, before the file can be saved:" : "Nothing is missing. Save the file and hand it back.";
    byId("missing").replaceChildren(...found.map(({ step, to, text }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.addEventListener("click", () => show(step, to));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
    return found.length;
  };

  const written = () => ({
    format: "ratings/1",
    set,
    rater: words("rater"),
    belongs: chosen("belongs") === "yes" ? words("tradition") : null,
    ratings: answers.map((answer) => ({
      question: answer.question,
      letter: answer.letter,
      ...Object.fromEntries(POINTS.map((point) => [point, Number(chosen(`${answer.at}-${point}`))])),
      false_claims: byId(`${answer.at}-false`).value.trim(),
    })),
  });

  const save = () => {
    if (list()) {
      byId("saved").hidden = true;
      byId("lead").focus();
      return;
    }
    const text = `${JSON.stringify(written(), null, 1)}\n`;
    const name = `ratings-${set}-${words("rater").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "rater"}.json`;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    byId("copy").value = text;
    byId("saved").hidden = false;
    byId("told").textContent = `Saved as ${name}.`;
  };

  const forget = () => {
    if (!confirm("Delete everything that was entered here?")) return;
    try { localStorage.removeItem(key); } catch { /* nothing was kept */ }
    for (const field of fields) {
      if (field.type === "radio") field.checked = false;
      else field.value = "";
    }
    byId("draft").hidden = true;
    byId("saved").hidden = true;
    byId("copy").value = "";
    show(0);
  };

  byId("go").append(...steps.map((_, place) => new Option("", String(place))));
  byId("back").addEventListener("click", () => show(here - 1));
  byId("next").addEventListener("click", () => show(here + 1));
  byId("go").addEventListener("change", () => show(Number(byId("go").value)));
  byId("save").addEventListener("click", save);
  byId("forget").addEventListener("click", forget);
  byId("copy").addEventListener("focus", () => byId("copy").select());
  const dialog = byId("told-rubric");
  dialog.querySelector("div").append(byId("full-rubric").cloneNode(true));
  dialog.querySelector("#full-rubric").removeAttribute("id");
  byId("rubric").addEventListener("click", () => dialog.showModal());
  document.querySelector("main").addEventListener("input", (event) => {
    if (event.target.id === "tradition" && words("tradition")) fields.find((field) => field.name === "belongs" && field.value === "yes").checked = true;
    keep();
    refresh();
  });
  restore();
  show(0, null);
})();
