// What the pages cannot do without a script: say how an action went, replay a run, copy a text, look again.
"use strict";

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
  if (!successful) say(told.detail || "synthmon did not answer.");
  else if (told.run) say("Started. See the run " + told.run.slice(0, 8), "/runs/" + encodeURIComponent(told.run));
  else say("Done.");
  htmx.trigger(document.body, "changed");
});

const ask = async (way, wish) => {
  const headers = { "content-type": "application/json", "x-synthmon": "1" };
  try {
    return await (await fetch(way, { method: "POST", headers, body: JSON.stringify(wish) })).json();
  } catch {
    return {};
  }
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-replay]");
  if (!button) return;
  const planned = await ask(button.dataset.replay, {});
  if (!planned.plan) return say(planned.detail || "synthmon did not answer.");
  if (!confirm(planned.plan.lines.join("\n") + "\n\nSend it?")) return;
  const begun = await ask(button.dataset.replay, { yes: true });
  if (!begun.plan) say(begun.detail || "synthmon did not answer.");
  else say("It is replayed. See how it stands", button.dataset.replay);
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent);
  say("Copied.");
});

const again = document.querySelector("[data-reload]");
if (again) setTimeout(() => location.reload(), 1000 * again.dataset.reload);
