// The meeting as a person sees it: bar, stage, panels, controls.
// SPDX-License-Identifier: Apache-2.0

import { describeMediaError } from "../problems.js";
import { mark } from "../ui/art.js";
import { h, Scope } from "../ui/dom.js";
import { icon, REACTION_LIST, REACTION_NAMES, reactionPicture } from "../ui/icons.js";
import { nextTheme, themeIcon, themeLabel } from "../ui/theme.js";
import { copyText, iconButton, menu, openDialog, setIcon, toast } from "../ui/widgets.js";
import { AudioOut } from "./audio.js";
import { ChatPanel, PeoplePanel } from "./panels.js";
import { bindKeys, openHelp } from "./shortcuts.js";
import { Stage } from "./stage.js";

/** Share of lost packets from which the person is told. */
const LOSS_SHOWN = 0.08;

function control(id, name, label, extra = {}) {
  return iconButton({ id, name, label, className: "control", ...extra });
}

export class Room {
  #meeting;
  #media;
  #scope = new Scope();
  #stage;
  #audio;
  #people;
  #chat;
  #unread = 0;
  #banner = h("div", { id: "connection-banner", class: "banner", role: "status", hidden: true });
  #announce = h("div", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  #count = h("span", { class: "badge", "aria-hidden": "true" });
  #unreadBadge = h("span", { class: "badge lit", hidden: true });
  #elapsed = h("span", { class: "elapsed" });
  #buttons;
  #menus = {};

  constructor(app, meeting) {
    this.#meeting = meeting;
    this.#media = meeting.media;
    this.#stage = new Stage(meeting, { invitation: this.#invitation() });
    this.#audio = new AudioOut(meeting);
    this.#people = new PeoplePanel(meeting, { onClose: () => this.#toggle(this.#people) });
    this.#chat = new ChatPanel(meeting, { onClose: () => this.#toggle(this.#chat) });
    this.#buttons = this.#makeButtons();
    this.element = this.#build();
    this.#wire();
    this.#update();
    this.#sound();
  }

  #makeButtons() {
    const media = this.#media;
    const panelToggle = (which) => () => this.#toggle(which());
    return {
      mic: control("mute-mic", "mic", "", { onclick: () => media.setMic(!media.micOn) }),
      camera: control("toggle-camera", "camera", "", {
        onclick: () => media.setCamera(!media.cameraOn),
      }),
      share: control("share-screen", "share", "Share your screen (S)", {
        onclick: () => this.#share(), hidden: !media.canShare,
      }),
      hand: control("raise-hand", "hand", "", { onclick: () => this.#hand() }),
      react: control("react", "smile", "React (R)"),
      people: control("toggle-people", "people", "People (P)", {
        onclick: panelToggle(() => this.#people), "aria-controls": "people-panel",
      }),
      chat: control("toggle-chat", "chat", "Chat (C)", {
        onclick: panelToggle(() => this.#chat), "aria-controls": "chat-panel",
      }),
      more: control("more", "more", "More"),
      leave: control("leave", "leave", "Leave the meeting (L)", {
        onclick: () => this.#meeting.leave(),
      }),
      leaveMenu: control("leave-menu", "up", "End or leave"),
    };
  }

  #build() {
    const b = this.#buttons;
    b.leave.classList.add("danger");
    b.leaveMenu.classList.add("danger", "narrow");
    b.people.append(this.#count);
    b.chat.append(this.#unreadBadge);
    const popup = (button, element) => h("div", { class: "popup" }, button, element);
    return h("div", { id: "meeting", class: "meeting" },
      this.#topBar(), this.#banner,
      h("div", { class: "meeting-body" }, h("main", { class: "meeting-main" }, this.#stage.element,
        this.#audio.blocked), this.#people.element, this.#chat.element),
      h("footer", { class: "controls", "aria-label": "Meeting controls" },
        h("div", { class: "controls-side" }),
        h("div", { class: "controls-main" }, b.mic, b.camera, b.share, b.hand,
          popup(b.react, this.#reactMenu()), popup(b.more, this.#moreMenu()),
          h("div", { class: "leave-group popup" }, b.leave, b.leaveMenu, this.#leaveMenu())),
        h("div", { class: "controls-side end" }, b.people, b.chat)),
      this.#announce, this.#audio.element);
  }

  #topBar() {
    const copy = h("button", {
      id: "copy-link", type: "button", class: "code-button", title: "Copy the meeting’s link",
      "aria-label": "Copy the meeting’s link", onclick: () => this.#copy(),
    }, h("span", { class: "code" }, this.#meeting.meetingId), icon("link", 18));
    return h("header", { class: "meeting-top" }, h("span", { class: "brand small" }, mark(24)),
      h("h1", { class: "visually-hidden" }, `Meeting ${this.#meeting.meetingId}`),
      copy, this.#stage.pager, this.#elapsed);
  }

  #invitation() {
    return h("div", { class: "invite" }, h("strong", {}, "You are the only one here."),
      h("span", {}, "Send the link to those who should come."),
      h("button", { type: "button", class: "button", onclick: () => this.#copy() },
        icon("link", 18), "Copy link"));
  }

  #reactMenu() {
    const list = menu(this.#buttons.react, {
      label: "Reactions",
      className: "menu-row",
      items: () => REACTION_LIST.map((reaction) => ({
        label: REACTION_NAMES[reaction],
        picture: reactionPicture(reaction),
        onselect: () => this.#meeting.react(reaction),
      })),
    });
    this.#menus.react = list;
    return list.element;
  }

  #moreMenu() {
    const meeting = this.#meeting;
    const phone = () => window.matchMedia("(max-width: 719px)").matches;
    const list = menu(this.#buttons.more, {
      label: "More",
      items: () => [
        {
          label: "Chat", icon: "chat", hidden: !phone(),
          onselect: () => this.#toggle(this.#chat),
        },
        {
          label: "People", icon: "people", hidden: !phone(),
          onselect: () => this.#toggle(this.#people),
        },
        { label: "Copy link", icon: "link", onselect: () => this.#copy() },
        {
          label: meeting.locked ? "Unlock the meeting" : "Lock the meeting", icon: "lock",
          hidden: !meeting.isHost, onselect: () => meeting.setDoor({ locked: !meeting.locked }),
        },
        {
          label: meeting.waitingRoom ? "Close the waiting room" : "Open a waiting room",
          icon: "door", hidden: !meeting.isHost,
          onselect: () => meeting.setDoor({ waitingRoom: !meeting.waitingRoom }),
        },
        { label: "Devices", icon: "settings", onselect: () => this.#devices() },
        {
          label: themeLabel(), icon: themeIcon(),
          onselect: () => {
            nextTheme();
            toast(themeLabel());
          },
        },
        { id: "help", label: "Keyboard", icon: "help", key: "?", onselect: openHelp },
      ],
    });
    return list.element;
  }

  #leaveMenu() {
    const list = menu(this.#buttons.leaveMenu, {
      label: "End or leave",
      className: "menu-end",
      items: () => [
        { label: "Leave", icon: "leave", onselect: () => this.#meeting.leave() },
        {
          id: "end-meeting", label: "End for everybody", icon: "close", danger: true,
          onselect: () => this.#meeting.end(),
        },
      ],
    });
    return list.element;
  }

  #devices() {
    const media = this.#media;
    const pick = (label, list, track, choose) => {
      const id = `device-${label.toLowerCase()}`;
      const used = track?.getSettings().deviceId;
      const select = h("select", { id, onchange: () => choose(select.value) },
        list.map((device, index) => h("option", {
          value: device.deviceId, selected: device.deviceId === used,
        }, device.label || `${label} ${index + 1}`)));
      select.disabled = list.length === 0;
      return h("div", { class: "field" }, h("label", { for: id }, label), select);
    };
    openDialog({
      id: "devices-dialog",
      title: "Devices",
      content: h("div", { class: "stack" },
        pick("Microphone", media.devices.audioinput, media.micTrack, (id) => media.chooseMic(id)),
        pick("Camera", media.devices.videoinput, media.cameraTrack,
          (id) => media.chooseCamera(id))),
    });
  }

  #wire() {
    const meeting = this.#meeting;
    let { micError, cameraError } = this.#media;
    this.#scope.add(
      meeting.on("state", () => this.#update()),
      meeting.on("connection", () => this.#showBanner()),
      meeting.on("quality", () => this.#showBanner()),
      meeting.on("people", () => this.#update()),
      meeting.on("feeds", () => { this.#stage.schedule(); this.#audio.update(); }),
      meeting.on("speakers", (news) => this.#stage.speakers(news)),
      meeting.on("reaction", (news) => this.#reacted(news)),
      meeting.on("chat", (message) => this.#onChat(message)),
      meeting.on("notice", ({ text, tone }) => toast(text, tone)),
      this.#media.on("change", () => {
        if (this.#media.micError && this.#media.micError !== micError) {
          toast(describeMediaError(this.#media.micError, "microphone"), "error");
        }
        if (this.#media.cameraError && this.#media.cameraError !== cameraError) {
          toast(describeMediaError(this.#media.cameraError, "camera"), "error");
        }
        ({ micError, cameraError } = this.#media);
      }),
    );
    this.#scope.every(1_000, () => this.#tick());
    bindKeys(this.#keys(), this.#scope.signal);
  }

  #keys() {
    const b = this.#buttons;
    return {
      m: () => b.mic.click(),
      v: () => b.camera.click(),
      s: () => { if (!b.share.hidden) b.share.click(); },
      h: () => b.hand.click(),
      r: () => this.#menus.react.open(),
      c: () => this.#toggle(this.#chat),
      p: () => this.#toggle(this.#people),
      l: () => b.leave.click(),
      "?": openHelp,
      ArrowLeft: () => this.#stage.turn(-1),
      ArrowRight: () => this.#stage.turn(1),
      Escape: () => this.#closePanels(),
    };
  }

  #tick() {
    const seconds = Math.floor((performance.now() - this.#meeting.joinedAt) / 1000);
    const pad = (value) => String(value).padStart(2, "0");
    const hours = Math.floor(seconds / 3600);
    const text = `${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
    this.#elapsed.textContent = hours > 0 ? `${hours}:${text}` : text;
  }

  #sound() {
    this.#audio.update();
    this.#tick();
  }

  #update() {
    const { micOn, cameraOn, screenTrack, micTrack, cameraTrack } = this.#media;
    const b = this.#buttons;
    const press = (button, pressed) => button.setAttribute("aria-pressed", String(pressed));
    const mic = micOn && Boolean(micTrack);
    const camera = cameraOn && Boolean(cameraTrack);
    setIcon(b.mic, mic ? "mic" : "micOff", mic ? "Mute microphone (M)" : "Unmute microphone (M)");
    setIcon(b.camera, camera ? "camera" : "cameraOff",
      camera ? "Turn camera off (V)" : "Turn camera on (V)");
    setIcon(b.share, "share", screenTrack ? "Stop sharing (S)" : "Share your screen (S)");
    const raised = this.#meeting.roster.get(this.#meeting.account.accountId).hand;
    setIcon(b.hand, "hand", raised ? "Lower your hand (H)" : "Raise your hand (H)");
    press(b.mic, !mic);
    press(b.camera, !camera);
    press(b.share, Boolean(screenTrack));
    press(b.hand, raised);
    press(b.people, !this.#people.element.hidden);
    press(b.chat, !this.#chat.element.hidden);
    b.leaveMenu.hidden = !this.#meeting.isHost;
    const guests = this.#meeting.waiting.size;
    this.#count.textContent = guests > 0 ? `+${guests}`
      : String(this.#meeting.roster.list().length);
    this.#count.classList.toggle("lit", guests > 0);
    this.#people.update();
    this.#stage.schedule();
    this.#showBanner();
  }

  #showBanner() {
    const { state, peer, quality } = this.#meeting;
    const media = peer?.pc.connectionState;
    let text = "";
    if (state === "reconnecting") {
      text = navigator.onLine
        ? "The connection was interrupted. Reconnecting…"
        : "You are offline. The meeting goes on as soon as the network is back.";
    } else if (media === "new" || media === "connecting") {
      text = "Connecting sound and picture…";
    } else if (media === "disconnected" || media === "failed") {
      text = "Sound and picture are interrupted. Looking for another way…";
    } else if ((quality?.loss ?? 0) > LOSS_SHOWN) {
      text = "Your network loses data. Sound comes first; pictures may be coarse.";
    }
    this.#banner.hidden = !text;
    if (this.#banner.textContent !== text) this.#banner.textContent = text;
  }

  async #share() {
    if (this.#media.screenTrack) {
      await this.#meeting.stopScreen();
      return;
    }
    try {
      await this.#meeting.shareScreen();
      toast("You are sharing your screen.");
    } catch (error) {
      if (error.name !== "NotAllowedError" && error.name !== "AbortError") {
        toast("The screen could not be shared. Choose another window or screen.", "error");
      }
    }
  }

  #hand() {
    const me = this.#meeting.roster.get(this.#meeting.account.accountId);
    this.#meeting.setHand(!me.hand);
  }

  async #copy() {
    const link = `${location.origin}/m/${this.#meeting.meetingId}`;
    toast(await copyText(link) ? "Link copied." : link);
  }

  #reacted(news) {
    this.#stage.react(news);
    const name = this.#meeting.roster.name(news.accountId);
    this.#announce.textContent = `${name}: ${REACTION_NAMES[news.reaction] ?? "reaction"}`;
  }

  #onChat(message) {
    this.#chat.add(message);
    if (!this.#chat.element.hidden || message.self) return;
    this.#unread += 1;
    this.#unreadBadge.hidden = false;
    this.#unreadBadge.textContent = this.#unread > 9 ? "9+" : String(this.#unread);
    toast(`${message.name}: ${message.text.slice(0, 120)}`, "info");
  }

  #toggle(panel) {
    const open = panel.element.hidden;
    this.#closePanels(false);
    panel.element.hidden = !open;
    if (open && panel === this.#chat) {
      this.#unread = 0;
      this.#unreadBadge.hidden = true;
    }
    this.#update();
    if (open) panel.focus();
    else this.#buttons[panel === this.#chat ? "chat" : "people"].focus();
  }

  #closePanels(update = true) {
    this.#people.element.hidden = true;
    this.#chat.element.hidden = true;
    if (update) this.#update();
  }

  focus() {
    this.#buttons.mic.focus({ preventScroll: true });
  }

  dispose() {
    this.#scope.dispose();
    this.#stage.dispose();
    this.#audio.dispose();
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  }
}
