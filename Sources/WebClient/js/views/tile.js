// One tile: a participant's camera or a shared screen. SPDX-License-Identifier: Apache-2.0

import { hueOf, initials } from "../names.js";
import { preferences } from "../store.js";
import { h } from "../ui/dom.js";
import { icon, reactionPicture } from "../ui/icons.js";
import { iconButton, setIcon } from "../ui/widgets.js";

const REACTION_MS = 4_000;

export class Tile {
  accountId;
  source;
  #video;
  #avatar;
  #name;
  #muted = h("span", { class: "tile-muted", title: "Muted" }, icon("micOff", 16));
  #hand = h("span", { class: "tile-hand", title: "Hand raised" }, icon("hand", 18));
  #reaction = h("div", { class: "tile-reaction", "aria-hidden": "true" });
  #pin;
  #meeting;
  #track = null;
  #reactionTimer = 0;
  #frameWatch = 0;

  /** onPin(tile): puts the tile on the stage or takes it down. */
  constructor(meeting, accountId, source, { onPin }) {
    this.#meeting = meeting;
    this.accountId = accountId;
    this.source = source;
    this.#video = h("video", { autoplay: true, muted: true, playsInline: true, tabindex: "-1" });
    this.#video.disablePictureInPicture = true;
    this.#avatar = h("span", { class: "avatar" });
    this.#name = h("span", { class: "tile-name", dataset: { testid: "tile-name" } });
    this.#pin = iconButton({
      name: "pin", label: "Show large", className: "tile-pin", onclick: () => onPin(this),
    });
    this.element = h("div", {
      class: "tile", role: "group", tabindex: "-1",
      dataset: { testid: "tile", accountId, source, video: "off", speaking: "false" },
      ondblclick: () => onPin(this),
    }, this.#video, h("div", { class: "tile-off" }, this.#avatar), this.#reaction,
    this.#hand, h("div", { class: "tile-label" }, this.#muted, this.#name), this.#pin);
    this.#avatar.style.setProperty("--hue", hueOf(accountId));
  }

  get key() {
    return `${this.accountId} ${this.source}`;
  }

  /** Brings the tile up to date with the roster and the slots. */
  update({ pinned }) {
    const person = this.#meeting.roster.get(this.accountId);
    if (!person) return;
    const screen = this.source === "screen";
    const name = person.self ? `${person.name} (you)` : person.name;
    const shown = screen ? `${person.self ? "Your" : `${person.name}’s`} screen` : name;
    const { dataset } = this.element;
    if (this.#name.textContent !== shown) {
      this.#name.textContent = shown;
      this.#avatar.textContent = initials(person.name);
    }
    if (person.self) dataset.self = "";
    dataset.muted = String(person.muted);
    dataset.hand = String(person.hand);
    dataset.speaking = String(person.speaking && !screen);
    dataset.pinned = String(pinned);
    this.#muted.hidden = screen || !person.muted;
    this.#hand.hidden = screen || !person.hand;
    setIcon(this.#pin, pinned ? "grid" : "pin",
      pinned ? `Take ${shown} down` : `Show ${shown} large`);
    this.#setTrack(this.#trackOf(person), person.sends(this.source), person.self);
    this.#video.classList.toggle("mirrored", person.self && !screen && preferences.get().mirror);
    this.element.setAttribute("aria-label", [
      shown, screen ? "" : (person.muted ? "muted" : "microphone on"),
      !screen && !person.sends("camera") ? "camera off" : "", person.hand ? "hand raised" : "",
    ].filter(Boolean).join(", "));
  }

  #trackOf(person) {
    if (person.self) {
      const { media } = this.#meeting;
      return this.source === "screen" ? media.screenTrack : media.cameraTrack;
    }
    return this.#meeting.slots.find(this.accountId, this.source)?.track ?? null;
  }

  #setTrack(track, sending, self) {
    const { dataset } = this.element;
    dataset.video = sending ? "on" : "off";
    if (this.#track !== track) {
      this.#track = track;
      delete dataset.live;
      this.#video.srcObject = track ? new MediaStream([track]) : null;
      if (track) {
        this.#video.play().catch(() => {});
        this.#watchFrame(self);
      }
    }
  }

  /** Uncovers the picture with the first frame that is shown of this track. */
  #watchFrame(self) {
    const watch = (this.#frameWatch += 1);
    const shown = () => {
      if (watch !== this.#frameWatch || !this.#track) return;
      const { dataset } = this.element;
      dataset.live = "true";
      if (this.source === "camera" && !self) {
        dataset.firstFrame = String(this.#meeting.sawFrame(this.accountId));
      }
    };
    if (this.#video.requestVideoFrameCallback) this.#video.requestVideoFrameCallback(shown);
    else this.#video.addEventListener("timeupdate", shown, { once: true });
  }

  react(reaction) {
    clearTimeout(this.#reactionTimer);
    this.#reaction.replaceChildren(reactionPicture(reaction, 44));
    this.#reactionTimer = setTimeout(() => this.#reaction.replaceChildren(), REACTION_MS);
  }

  /** Puts the tile at a rectangle of the grid, or takes it out of sight with null. */
  place(rectangle) {
    const { style } = this.element;
    this.element.hidden = !rectangle;
    if (!rectangle) return;
    style.transform = `translate(${rectangle.x}px, ${rectangle.y}px)`;
    style.width = `${rectangle.width}px`;
    style.height = `${rectangle.height}px`;
    const small = Math.min(rectangle.width, rectangle.height);
    this.element.classList.toggle("small", small < 130);
    style.setProperty("--avatar", `${Math.round(Math.min(120, Math.max(36, small * 0.4)))}px`);
  }

  dispose() {
    clearTimeout(this.#reactionTimer);
    this.#frameWatch += 1;
    this.#video.srcObject = null;
    this.element.remove();
  }
}
