// The panels beside the picture: people and chat. SPDX-License-Identifier: Apache-2.0

import { hueOf, initials } from "../names.js";
import { h } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { askFirst, iconButton } from "../ui/widgets.js";

/** Characters; the node takes 4096 bytes. */
const CHAT_MAX = 1_300;
const MESSAGES_MAX = 500;

function panel({ id, title, onClose }, ...content) {
  return h("aside", { id, class: "panel", hidden: true, "aria-labelledby": `${id}-title` },
    h("header", { class: "panel-head" }, h("h2", { id: `${id}-title` }, title),
      iconButton({ name: "close", label: `Close ${title.toLowerCase()}`, onclick: onClose })),
    content);
}

export class PeoplePanel {
  #meeting;
  #list = h("ul", { class: "people" });
  #door = h("div", { class: "waiting", role: "group", "aria-label": "Waiting to come in" });

  constructor(meeting, { onClose }) {
    this.#meeting = meeting;
    this.element = panel({ id: "people-panel", title: "People", onClose }, this.#door,
      this.#list);
  }

  focus() {
    this.element.querySelector("button")?.focus();
  }

  update() {
    if (this.element.hidden) return;
    this.#showDoor();
    const people = [...this.#meeting.roster.list()].sort((a, b) => (b.hand - a.hand)
      || (a.hand ? a.handAt - b.handAt : 0));
    const focused = document.activeElement?.dataset?.focusKey;
    this.#list.replaceChildren(...people.map((person) => this.#row(person)));
    if (focused) {
      [...this.#list.querySelectorAll("[data-focus-key]")]
        .find((element) => element.dataset.focusKey === focused)?.focus();
    }
  }

  #showDoor() {
    const { waiting } = this.#meeting;
    this.#door.hidden = waiting.size === 0;
    this.#door.replaceChildren(...[...waiting].map(([accountId, name]) => {
      const answer = (label, welcome, className) => h("button", {
        type: "button", class: `button ${className}`, "data-action": welcome ? "admit" : "deny",
        onclick: () => this.#meeting.admit(accountId, welcome),
      }, label);
      return h("div", { class: "guest", dataset: { testid: "guest", accountId } },
        h("strong", {}, name), answer("Let in", true, "primary"), answer("Refuse", false, ""));
    }));
  }

  #row(person) {
    const picture = h("span", { class: "avatar", "aria-hidden": "true" }, initials(person.name));
    picture.style.setProperty("--hue", hueOf(person.accountId));
    const role = [person.self ? "You" : "", person.host ? "Host" : ""].filter(Boolean).join(" · ");
    return h("li", { class: "person", dataset: { testid: "person", accountId: person.accountId } },
      picture, h("div", { class: "person-name" }, h("strong", {}, person.name),
        role ? h("span", {}, role) : null),
      person.hand ? h("span", { class: "person-hand", title: "Hand raised" }, icon("hand", 18),
        h("span", { class: "visually-hidden" }, "hand raised")) : null,
      this.#controls(person));
  }

  #controls(person) {
    const state = (name, label) => h("span", { class: "person-state", title: label },
      icon(name, 18), h("span", { class: "visually-hidden" }, label));
    const camera = state(person.cameraOff ? "cameraOff" : "camera",
      person.cameraOff ? "camera off" : "camera on");
    const mic = state(person.muted ? "micOff" : "mic", person.muted ? "muted" : "microphone on");
    if (!this.#meeting.isHost || person.self) return [camera, mic];
    const action = (name, kind, label, run) => iconButton({
      name, label, className: "small", "data-action": kind,
      "data-focus-key": `${kind} ${person.accountId}`, onclick: run,
    });
    return [camera,
      person.muted ? mic : action("mic", "mute", `Mute ${person.name}`,
        () => this.#meeting.muteOther(person.accountId)),
      action("remove", "kick", `Remove ${person.name}`, () => this.#kick(person))];
  }

  async #kick(person) {
    const agreed = await askFirst({
      title: `Remove ${person.name}?`,
      text: "They leave the meeting at once and can’t come back into it.",
      action: "Remove",
    });
    if (agreed) this.#meeting.kick(person.accountId);
  }
}

export class ChatPanel {
  #log = h("div", {
    id: "chat-log", class: "chat-log", role: "log", "aria-live": "polite", tabindex: "0",
    "aria-label": "Messages",
  });
  #input = h("textarea", {
    id: "chat-input", name: "chat-input", rows: "1", maxlength: CHAT_MAX,
    placeholder: "Write to everybody", "aria-label": "Message to everybody",
  });
  #empty = h("p", { class: "chat-empty" },
    "Messages go to everybody who is here now. They are gone when the meeting is over.");
  #last = null;

  constructor(meeting, { onClose }) {
    const send = iconButton({ id: "chat-send", name: "send", label: "Send", className: "accent" });
    send.type = "submit";
    const form = h("form", {
      class: "chat-form",
      onsubmit: (event) => {
        event.preventDefault();
        const text = this.#input.value.trim();
        if (text) meeting.sendChat(text);
        this.#input.value = "";
        this.#fit();
        this.#input.focus();
      },
    }, this.#input, send);
    this.#input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    this.#input.addEventListener("input", () => this.#fit());
    this.#log.append(this.#empty);
    this.element = panel({ id: "chat-panel", title: "Chat", onClose }, this.#log, form);
  }

  #fit() {
    this.#input.style.height = "auto";
    this.#input.style.height = `${Math.min(120, this.#input.scrollHeight)}px`;
  }

  focus() {
    this.#input.focus();
  }

  add({ accountId, name, text, at, self }) {
    this.#empty.remove();
    const follows = this.#last?.accountId === accountId && at - this.#last.at < 120_000;
    this.#last = { accountId, at };
    const time = new Date(at).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
    const near = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 80;
    this.#log.append(h("div", { class: self ? "message own" : "message" },
      follows ? null : h("div", { class: "message-head" }, h("strong", {}, self ? "You" : name),
        h("time", {}, time)),
      h("p", {}, linked(text))));
    while (this.#log.children.length > MESSAGES_MAX) this.#log.firstElementChild.remove();
    if (near || self) this.#log.scrollTop = this.#log.scrollHeight;
  }
}

/** The text with its web addresses as links; everything stays text. */
function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]])/u).map((part, index) => (
    index % 2 === 1
      ? h("a", { href: part, target: "_blank", rel: "noopener noreferrer" }, part)
      : part
  ));
}
