// After a meeting: what happened and where to go. SPDX-License-Identifier: Apache-2.0

import { roundhouse } from "../ui/art.js";
import { h } from "../ui/dom.js";
import { header } from "./header.js";

const TITLES = {
  ended: "This meeting has ended.",
  left: "You left the meeting.",
  removed: "You are out of the meeting.",
  denied: "You are not in the meeting.",
};

const HINTS = {
  left: "It goes on without you. You can go back in at any time.",
};

/** meeting: {state, endReason, title?}, a Meeting or what stands for one that never was. */
export function endedView(app, meeting, onAgain) {
  const { state, endReason, title = TITLES[state] } = meeting;
  const again = state === "ended" ? null : h("button", {
    id: "rejoin", type: "button", class: "button primary", onclick: onAgain,
  }, state === "left" ? "Go back in" : "Try again");
  const home = h("button", {
    id: "go-home", type: "button", class: state === "ended" ? "button primary" : "button",
    onclick: () => app.navigate("/"),
  }, "Back to start");
  const text = HINTS[state] ?? (endReason === title ? "" : endReason);
  const element = h("div", { class: "page over" }, header(app),
    h("main", {
      class: "over-main", id: `meeting-${state}`, dataset: { reason: endReason },
    }, h("div", { class: "over-art" }, roundhouse()),
    h("div", { class: "over-words", role: "alert" }, h("h1", {}, title),
      text ? h("p", { class: "lead" }, text) : null),
    h("div", { class: "row" }, again, home)));
  return { element, focus: () => (again ?? home).focus() };
}
