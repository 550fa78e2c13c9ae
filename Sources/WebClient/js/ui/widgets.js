// Small parts that several views use. SPDX-License-Identifier: Apache-2.0

import { h } from "./dom.js";
import { icon } from "./icons.js";

/** A round or square button that shows an icon; `label` is read out and shown as a tooltip. */
export function iconButton({ id, name, label, className = "", ...rest }) {
  return h("button", {
    type: "button", id, class: `icon-button ${className}`, "aria-label": label, title: label,
    ...rest,
  }, icon(name));
}

/** Changes an icon button's picture and label. */
export function setIcon(button, name, label) {
  if (button.dataset.icon === name && button.title === label) return;
  button.dataset.icon = name;
  button.title = label;
  button.setAttribute("aria-label", label);
  button.querySelector("svg")?.replaceWith(icon(name));
}

/** A message to the person: alert (read out at once) or hidden while empty. */
export function notice(id) {
  const text = h("span");
  const box = h("p", { id, class: "notice", role: "alert", hidden: true }, icon("alert", 20), text);
  return {
    element: box,
    show(message) {
      text.textContent = message;
      box.hidden = !message;
    },
  };
}

/** A modal dialog that closes with Escape, its button, or a click outside. */
export function openDialog({ id, title, content, className = "" }) {
  const opener = document.activeElement;
  const dialog = h("dialog", {
    id, class: `dialog ${className}`, "aria-labelledby": `${id}-title`,
  }, h("header", { class: "dialog-head" },
    h("h2", { id: `${id}-title` }, title),
    iconButton({ name: "close", label: "Close", onclick: () => dialog.close() })), content);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    opener?.focus?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks before something that can't be undone; resolves to true when the person agrees. */
export function askFirst({ title, text, action }) {
  return new Promise((resolve) => {
    let agreed = false;
    const yes = h("button", { id: "confirm-yes", type: "button", class: "button danger" }, action);
    const no = h("button", { id: "confirm-no", type: "button", class: "button" }, "Cancel");
    const dialog = openDialog({
      id: "confirm-dialog",
      title,
      content: h("div", { class: "stack" }, h("p", {}, text),
        h("div", { class: "row-end" }, no, yes)),
    });
    yes.addEventListener("click", () => {
      agreed = true;
      dialog.close();
    });
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => resolve(agreed));
    no.focus();
  });
}

/**
 * A menu that a button opens: items {label, icon, id, danger, hidden, onselect}. Arrow keys move,
 * Escape and a click elsewhere close.
 */
export function menu(button, { label, items, className = "" }) {
  const list = h("div", {
    class: `menu ${className}`, role: "menu", "aria-label": label, hidden: true,
  });
  button.setAttribute("aria-haspopup", "menu");
  button.setAttribute("aria-expanded", "false");
  const close = (focus = true) => {
    if (list.hidden) return;
    list.hidden = true;
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside, true);
    if (focus) button.focus();
  };
  const outside = (event) => {
    if (!list.contains(event.target) && !button.contains(event.target)) close(false);
  };
  const open = () => {
    list.replaceChildren(...items().filter((item) => item && !item.hidden)
      .map((item) => menuItem(item, close)));
    list.hidden = false;
    button.setAttribute("aria-expanded", "true");
    document.addEventListener("pointerdown", outside, true);
    list.querySelector("button")?.focus();
  };
  button.addEventListener("click", () => (list.hidden ? open() : close()));
  list.addEventListener("keydown", (event) => moveInMenu(event, list, close));
  return { element: list, open, close };
}

function menuItem(item, close) {
  return h("button", {
    type: "button", role: "menuitem", id: item.id, tabindex: "-1",
    class: item.danger ? "menu-item danger" : "menu-item",
    onclick: () => { close(); item.onselect(); },
  }, item.picture ?? (item.icon ? icon(item.icon, 20) : null), h("span", {}, item.label),
  item.key ? h("kbd", {}, item.key) : null);
}

function moveInMenu(event, list, close) {
  const all = [...list.querySelectorAll("button")];
  const index = all.indexOf(document.activeElement);
  const targets = {
    ArrowDown: index + 1, ArrowRight: index + 1, ArrowUp: index - 1, ArrowLeft: index - 1,
    Home: 0, End: all.length - 1,
  };
  if (event.key === "Escape") {
    close();
  } else if (event.key === "Tab") {
    close(false);
    return;
  } else if (event.key in targets) {
    all[(targets[event.key] + all.length) % all.length]?.focus();
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}

const TOAST_MS = 4_500;
let toastBox = null;

/** A short message at the bottom, read out politely. tone: quiet, info, error. */
export function toast(text, tone = "info") {
  toastBox ??= h("div", { class: "toasts", role: "status", "aria-live": "polite" });
  if (!toastBox.isConnected) document.body.append(toastBox);
  const item = h("div", { class: `toast ${tone}` }, text);
  toastBox.append(item);
  while (toastBox.children.length > 3) toastBox.firstElementChild.remove();
  setTimeout(() => item.remove(), TOAST_MS);
}

/** Copies text; returns false where the browser forbids it. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h("textarea", { class: "visually-hidden", value: text });
    document.body.append(field);
    field.select();
    const done = document.execCommand?.("copy") ?? false;
    field.remove();
    return done;
  }
}
