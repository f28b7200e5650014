// What the pages cannot do without a script: say how an action went, replay a run, copy a text, look again.
"use strict";

const SILENT = "synthmon did not answer.";

const say = (text, href) => {
  const place = document.getElementById("said");
  const note = document.createElement(href ? "a" : "p");
  note.textContent = text;
  if (href) note.href = href;
  place.replaceChildren(note);
  clearTimeout(say.timer);
  say.timer = setTimeout(() => place.replaceChildren(), 12000);
};

const read = (request) => {
  try {
    return JSON.parse(request.responseText);
  } catch {
    return {};
  }
};

document.addEventListener("htmx:afterRequest", (event) => {
  const { requestConfig, successful, xhr } = event.detail;
  if (requestConfig.verb !== "post") return;
  const told = read(xhr);
  if (!successful) say(told.detail || SILENT);
  else if (told.run) say("Started. See the run " + told.run.slice(0, 8), "/runs/" + encodeURIComponent(told.run));
  else say("Done.");
  htmx.trigger(document.body, "changed");
});

const ask = async (way, wish) => {
  const headers = { "content-type": "application/json", "x-synthmon": "1" };
  try {
    return await (await fetch(way, wish && { method: "POST", headers, body: JSON.stringify(wish) })).json();
  } catch {
    return {};
  }
};

const standing = document.getElementById("standing");

const linked = (made) => {
  const link = document.createElement("a");
  link.href = "/runs/" + encodeURIComponent(made.run);
  link.textContent = made.run.slice(0, 12) + " " + made.outcome;
  return link;
};

const stand = (told) => {
  const { finding, plan, runs, said, state } = told;
  const begin = { running: "Replaying, " + runs.length + " of " + plan.runs.length + ":", over: "Replayed:" };
  const end = finding ? " " + finding.order + ": " + finding.verdict : "";
  const links = runs.flatMap((made) => [" ", linked(made)]);
  standing.replaceChildren(begin[state] || "The replay was stopped: " + said, ...links, end);
};

const watch = async (way, told) => {
  while (told.state) {
    stand(told);
    if (told.state !== "running") return;
    await new Promise((done) => setTimeout(done, 1000));
    told = await ask(way);
  }
  standing.textContent = told.detail || SILENT;
};

const replay = async (way) => {
  const planned = await ask(way, {});
  if (!planned.plan) return (standing.textContent = planned.detail || SILENT);
  if (!confirm(planned.plan.lines.join("\n") + "\n\nSend it?")) return;
  await watch(way, await ask(way, { yes: true }));
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-replay]");
  if (!button) return;
  button.disabled = true; // a second press asks for no second replay
  await replay(button.dataset.replay);
  button.disabled = false;
});

if (standing && standing.dataset.watch) ask(standing.dataset.watch).then((told) => watch(standing.dataset.watch, told));

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent);
  say("Copied.");
});

const again = document.querySelector("[data-reload]");
if (again) setTimeout(() => location.reload(), 1000 * again.dataset.reload);
