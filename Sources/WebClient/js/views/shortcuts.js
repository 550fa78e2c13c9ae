// Keys in a meeting, and the dialog that explains them. SPDX-License-Identifier: Apache-2.0

import { h } from "../ui/dom.js";
import { openDialog } from "../ui/widgets.js";

const KEYS = [
  ["M", "Mute or unmute the microphone"],
  ["V", "Turn the camera on or off"],
  ["S", "Share the screen, or stop"],
  ["H", "Raise or lower your hand"],
  ["R", "React"],
  ["C", "Chat"],
  ["P", "People"],
  ["← →", "Turn the pages of the grid"],
  ["L", "Leave"],
  ["Esc", "Close what is open"],
  ["?", "This list"],
];

export function openHelp() {
  if (document.getElementById("help-dialog")) return;
  openDialog({
    id: "help-dialog",
    title: "Keyboard",
    content: h("dl", { class: "keys" }, KEYS.map(([key, text]) => h("div", {},
      h("dt", {}, key.split(" ").map((part) => h("kbd", {}, part))), h("dd", {}, text)))),
  });
}

/** Calls actions[key] for a plain key press outside of text fields, menus and dialogs. */
export function bindKeys(actions, signal) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const { target } = event;
    const typing = target.closest?.("input, textarea, select, [role=menu], dialog");
    if (typing && event.key !== "Escape") return;
    if (document.querySelector("dialog[open]") || event.repeat) return;
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }, { signal });
}
