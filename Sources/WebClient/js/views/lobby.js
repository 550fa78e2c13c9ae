// The lobby: look at yourself, choose devices, then go in. SPDX-License-Identifier: Apache-2.0

import { initials } from "../names.js";
import { describeMediaError } from "../problems.js";
import { preferences } from "../store.js";
import { h, Scope } from "../ui/dom.js";
import { icon } from "../ui/icons.js";
import { copyText, iconButton, notice, setIcon, toast } from "../ui/widgets.js";
import { header } from "./header.js";

const QUALITIES = [
  ["high", "High · 720p"], ["standard", "Standard · 360p"], ["low", "Saving · 180p"],
];
const BARS = 14;

function select({ id, label, iconName }) {
  const element = h("select", { id, name: id });
  return {
    element,
    row: h("div", { class: "field device" }, h("label", { for: id }, label),
      h("div", { class: "with-icon" }, icon(iconName, 20), element)),
  };
}

function fill(element, entries, chosen, emptyText) {
  const options = entries.length > 0
    ? entries.map(([value, text]) => h("option", { value, selected: value === chosen }, text))
    : [h("option", { value: "" }, emptyText)];
  element.replaceChildren(...options);
  element.disabled = entries.length === 0;
}

/** What is wrong with the devices, in one text; "" when nothing is. */
function deviceComplaint({ cameraError, micError }) {
  const both = cameraError && micError && cameraError.name === micError.name;
  const texts = both
    ? [describeMediaError(cameraError, "camera and microphone")]
    : [cameraError && describeMediaError(cameraError, "camera"),
      micError && describeMediaError(micError, "microphone")].filter(Boolean);
  return texts.length > 0 ? [...texts, "You can join without."].join(" ") : "";
}

export class Lobby {
  #app;
  #media;
  #meetingId;
  #onJoin;
  #scope = new Scope();
  #error = notice("lobby-error");
  #deviceError = notice("device-error");
  #video = h("video", {
    id: "lobby-preview", autoplay: true, muted: true, playsInline: true,
    "aria-label": "Your camera",
  });
  #off = h("div", { class: "preview-off" });
  #mic = iconButton({ id: "lobby-mic", name: "mic", label: "Mute microphone", className: "round" });
  #camera = iconButton({
    id: "lobby-camera", name: "camera", label: "Turn camera off", className: "round",
  });
  #mics = select({ id: "mic-select", label: "Microphone", iconName: "mic" });
  #cameras = select({ id: "camera-select", label: "Camera", iconName: "camera" });
  #quality = select({ id: "quality-select", label: "Picture sent", iconName: "settings" });
  #join = h("button", { id: "lobby-join", type: "button", class: "button primary wide" },
    "Join now");
  #bars = Array.from({ length: BARS }, () => h("i"));
  #account;

  /** onJoin: called when the person wants in; may throw (the lobby then shows why via fail). */
  constructor(app, { media, meetingId, account, hosting, onJoin }) {
    this.#app = app;
    this.#media = media;
    this.#meetingId = meetingId;
    this.#account = account;
    this.#onJoin = onJoin;
    this.element = this.#build(hosting);
    this.#wire();
    this.#render();
  }

  #build(hosting) {
    const meter = h("div", { class: "meter", role: "img", "aria-label": "Microphone level" },
      this.#bars);
    const copy = h("button", {
      type: "button", class: "code-button", title: "Copy the meeting’s link",
      onclick: async () => toast(await copyText(this.#link) ? "Link copied." : this.#link),
    }, h("span", { class: "code" }, this.#meetingId), icon("link", 18));
    return h("div", { class: "page lobby", id: "lobby" }, header(this.#app),
      h("main", { class: "lobby-main" },
        h("section", { class: "preview", "aria-label": "Preview" }, this.#video, this.#off,
          h("div", { class: "preview-name" }, this.#account.name),
          h("div", { class: "preview-bar" }, this.#mic, this.#camera, meter)),
        h("section", { class: "card lobby-card", "aria-labelledby": "lobby-title" },
          h("h1", { id: "lobby-title" }, hosting ? "Your meeting is ready." : "Ready to go in?"),
          h("p", { class: "lobby-code" }, "Meeting ", copy),
          this.#error.element, this.#deviceError.element,
          this.#mics.row, this.#cameras.row, this.#quality.row, this.#join)));
  }

  get #link() {
    return `${location.origin}/m/${this.#meetingId}`;
  }

  #wire() {
    const media = this.#media;
    this.#mic.addEventListener("click", () => media.setMic(!media.micOn));
    this.#camera.addEventListener("click", () => media.setCamera(!media.cameraOn));
    this.#mics.element.addEventListener("change", () => media.chooseMic(this.#mics.element.value));
    this.#cameras.element.addEventListener("change",
      () => media.chooseCamera(this.#cameras.element.value));
    this.#quality.element.addEventListener("change",
      () => media.chooseQuality(this.#quality.element.value));
    this.#join.addEventListener("click", () => this.#enter());
    this.#scope.add(media.on("change", () => this.#render()), media.on("level", (level) => {
      const lit = media.micOn ? Math.round(level * BARS) : 0;
      this.#bars.forEach((bar, index) => bar.classList.toggle("lit", index < lit));
    }));
    document.addEventListener("keydown", (event) => this.#onKey(event),
      { signal: this.#scope.signal });
  }

  #onKey(event) {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName ?? "");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "m") this.#mic.click();
    if (event.key === "v") this.#camera.click();
  }

  async #enter() {
    this.#join.disabled = true;
    this.#join.textContent = "Joining…";
    this.#error.show("");
    await this.#onJoin();
  }

  /** The host is being asked. */
  wait() {
    this.#join.textContent = "Waiting for the host to let you in…";
    this.#join.setAttribute("aria-live", "polite");
  }

  /** Says why joining failed and lets the person try again. */
  fail(message) {
    this.#error.show(message);
    this.#join.disabled = false;
    this.#join.textContent = "Join now";
  }

  focus() {
    this.#join.focus({ preventScroll: true });
  }

  #render() {
    const media = this.#media;
    const track = media.cameraOn ? media.cameraTrack : null;
    if (this.#video.srcObject?.getVideoTracks()[0] !== track || !track) {
      this.#video.srcObject = track ? new MediaStream([track]) : null;
    }
    this.#video.classList.toggle("mirrored", preferences.get().mirror);
    this.#off.hidden = Boolean(track);
    this.#off.replaceChildren(h("span", { class: "avatar" }, initials(this.#account.name)),
      h("span", {}, media.cameraOn ? "Camera is starting…" : "Camera is off"));
    setIcon(this.#mic, media.micOn ? "mic" : "micOff",
      media.micOn ? "Mute microphone (M)" : "Unmute microphone (M)");
    setIcon(this.#camera, media.cameraOn ? "camera" : "cameraOff",
      media.cameraOn ? "Turn camera off (V)" : "Turn camera on (V)");
    this.#mic.setAttribute("aria-pressed", String(!media.micOn));
    this.#camera.setAttribute("aria-pressed", String(!media.cameraOn));
    this.#renderDevices();
    this.#deviceError.show(deviceComplaint(media));
  }

  #renderDevices() {
    const { devices, micTrack, cameraTrack } = this.#media;
    const entries = (list, noun) => list.map((device, index) => [
      device.deviceId, device.label || `${noun} ${index + 1}`,
    ]);
    const used = (track, fallback) => track?.getSettings().deviceId ?? fallback;
    const wishes = preferences.get();
    fill(this.#mics.element, entries(devices.audioinput, "Microphone"),
      used(micTrack, wishes.micId), "No microphone found");
    fill(this.#cameras.element, entries(devices.videoinput, "Camera"),
      used(cameraTrack, wishes.cameraId), "No camera found");
    fill(this.#quality.element, QUALITIES, wishes.quality, "");
  }

  dispose() {
    this.#scope.dispose();
    this.#video.srcObject = null;
  }
}
