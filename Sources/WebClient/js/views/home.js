// Home: start a meeting, or join one. SPDX-License-Identifier: Apache-2.0

import { meetingIdIn } from "../names.js";
import { describeProblem } from "../problems.js";
import { recent, session } from "../store.js";
import { roundhouse } from "../ui/art.js";
import { h, Scope } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { notice } from "../ui/widgets.js";
import { header } from "./header.js";

function greeting(date = new Date()) {
  const hour = date.getHours();
  if (hour < 5 || hour >= 22) return "Good night";
  if (hour < 12) return "Good morning";
  return hour < 18 ? "Good afternoon" : "Good evening";
}

function clock(scope) {
  const time = h("time", { class: "clock" });
  const tick = () => {
    const now = new Date();
    time.dateTime = now.toISOString();
    time.textContent = now.toLocaleString(undefined, {
      weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit",
    });
  };
  tick();
  scope.every(5_000, tick);
  return time;
}

function createCard(app, error) {
  const button = h("button", { id: "create-meeting", type: "button", class: "button primary wide" },
    icon("plus", 20), h("span", {}, "New meeting"));
  button.addEventListener("click", async () => {
    button.disabled = true;
    error.show("");
    try {
      app.created = await app.api.createMeeting();
      app.navigate(`/m/${app.created.meetingId}`);
    } catch (reason) {
      error.show(describeProblem(reason, "create"));
      button.disabled = false;
    }
  });
  return h("section", { class: "card", "aria-labelledby": "create-title" },
    h("h2", { id: "create-title" }, "Start"),
    h("p", {}, "Open a meeting now and send its link to everybody who should come."), button);
}

function joinCard(app, error) {
  const input = h("input", {
    id: "join-code", name: "join-code", autocomplete: "off", autocapitalize: "none",
    spellcheck: "false", placeholder: "abc-defg-hij or a link", "aria-describedby": "join-hint",
  });
  const form = h("form", {
    class: "join-form", novalidate: true,
    onsubmit: (event) => {
      event.preventDefault();
      const meetingId = meetingIdIn(input.value);
      input.toggleAttribute("aria-invalid", !meetingId);
      if (meetingId) app.navigate(`/m/${meetingId}`);
      else error.show("Enter the meeting’s code, like abc-defg-hij, or paste its link.");
      if (!meetingId) input.focus();
    },
  }, h("label", { for: "join-code", class: "visually-hidden" }, "Meeting code or link"), input,
  h("button", { id: "join-submit", type: "submit", class: "button" }, "Join"));
  return h("section", { class: "card", "aria-labelledby": "join-title" },
    h("h2", { id: "join-title" }, "Join"),
    h("p", { id: "join-hint" }, "Somebody sent you a code or a link? Put it in here."), form);
}

function recentList(app) {
  const entries = recent.list();
  if (entries.length === 0) return null;
  const row = (entry) => h("li", {}, h("a", {
    href: `/m/${entry.meetingId}`,
    onclick: (event) => {
      event.preventDefault();
      app.navigate(`/m/${entry.meetingId}`);
    },
  }, h("span", { class: "code" }, entry.meetingId),
  h("span", { class: "when" }, new Date(entry.at).toLocaleString(undefined, {
    day: "numeric", month: "short", hour: "2-digit", minute: "2-digit",
  })), entry.hosted ? h("span", { class: "tag" }, "Host") : null));
  return h("section", { class: "recent", "aria-labelledby": "recent-title" },
    h("h2", { id: "recent-title" }, "Lately"), h("ul", {}, entries.map(row)));
}

export function homeView(app) {
  const scope = new Scope();
  const error = notice("home-error");
  const [first] = (session.get().name ?? "").split(/\s+/u);
  const element = h("div", { class: "page home", id: "home" }, header(app),
    h("main", { class: "home-main" },
      h("div", { class: "home-words" }, clock(scope),
        h("h1", {}, first ? `${greeting()}, ${first}.` : `${greeting()}.`)),
      error.element,
      h("div", { class: "home-cards" }, createCard(app, error), joinCard(app, error)),
      recentList(app), h("div", { class: "home-art" }, roundhouse())));
  return { element, dispose: () => scope.dispose() };
}
