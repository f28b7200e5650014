// What the pages cannot do without a script: say how an action went, copy a text, look again.
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

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent);
  say("Copied.");
});

const again = document.querySelector("[data-reload]");
if (again) setTimeout(() => location.reload(), 1000 * again.dataset.reload);
