// The sound of the meeting: one audio element for each audio slot.
// SPDX-License-Identifier: Apache-2.0

import { h } from "../ui/dom.js";
import { icon } from "../ui/icons.js";

export class AudioOut {
  #meeting;
  #elements = new Map();
  #box = h("div", { class: "visually-hidden", "aria-hidden": "true" });

  constructor(meeting) {
    this.#meeting = meeting;
    this.blocked = h("button", {
      id: "sound-blocked", type: "button", class: "button primary sound-blocked", hidden: true,
      onclick: () => this.#playAll(),
    }, icon("sound", 20), "Click to hear the others");
    this.element = this.#box;
  }

  /** Makes an element for each new slot and drops those of a connection that is gone. */
  update() {
    const slots = new Map(this.#meeting.slots.tracks("audio").map((slot) => [slot.track.id, slot]));
    for (const [id, element] of this.#elements) {
      if (slots.has(id)) continue;
      element.srcObject = null;
      element.remove();
      this.#elements.delete(id);
    }
    for (const [id, slot] of slots) {
      const known = this.#elements.get(id);
      if (known) {
        known.dataset.accountId = slot.accountId;
        continue;
      }
      const element = h("audio", { autoplay: true, dataset: { mid: slot.mid } });
      element.srcObject = new MediaStream([slot.track]);
      this.#elements.set(id, element);
      this.#box.append(element);
      this.#play(element);
    }
  }

  async #play(element) {
    try {
      await element.play();
    } catch (error) {
      if (error.name === "NotAllowedError") this.blocked.hidden = false;
    }
  }

  #playAll() {
    this.blocked.hidden = true;
    for (const element of this.#elements.values()) this.#play(element);
  }

  dispose() {
    for (const element of this.#elements.values()) element.srcObject = null;
    this.#box.remove();
  }
}
