// Keeps the live parts of a page up to date, tabs included, where its own content is live: other pages may show values, or
// ask Notion. Everything works without it; it only saves loading the page anew.
"use strict";

(() => {
  const EVERY_MS = 3000;
  const parts = () => document.querySelectorAll("[data-live]");
  const state = document.getElementById("live-state");
  const control = document.getElementById("live-switch");
  if (!state || !control || !document.querySelector("main [data-live]")) return;

  let paused = false;
  let headline = document.getElementById("headline")?.textContent;

  // what somebody stands on is left alone: nothing may move under a keyboard
  const inUse = (part) => part.contains(document.activeElement) && document.activeElement !== document.body;

  function take(fresh) {
    for (const part of parts()) {
      const next = fresh.getElementById(part.id);
      if (!next || inUse(part) || part.innerHTML === next.innerHTML) continue;
      part.className = next.className;
      part.replaceChildren(...next.childNodes);
    }
    document.title = fresh.title;
  }

  function say(text) {
    if (state.textContent !== text) state.textContent = text;
  }

  async function look() {
    if (paused || document.hidden) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html", "X-Update": "1" } });
      if (answer.redirected) return say("You are signed out. Load the page again to sign in.");
      if (!answer.ok) return say("The sync does not answer as it should; what is shown may be old.");
      take(new DOMParser().parseFromString(await answer.text(), "text/html"));
      const now = document.getElementById("headline")?.textContent;
      // one short sentence is announced, and only when it has changed
      say(now && now !== headline ? now.trim() : "");
      headline = now;
    } catch {
      say("The sync can't be reached; what is shown is old.");
    }
  }

  control.hidden = false;
  control.addEventListener("click", () => {
    paused = !paused;
    control.setAttribute("aria-pressed", String(paused));
    if (!paused) look();
  });
  document.addEventListener("visibilitychange", look);
  const turn = async () => {
    await look();
    setTimeout(turn, EVERY_MS);
  };
  setTimeout(turn, EVERY_MS);
})();
