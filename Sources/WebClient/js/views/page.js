// The page of one meeting: lobby, then the room, then how it ended.
// SPDX-License-Identifier: Apache-2.0

import { LocalMedia } from "../media.js";
import { Meeting } from "../meeting.js";
import { describeProblem } from "../problems.js";
import { recent, session } from "../store.js";
import { h } from "../ui/dom.js";
import { endedView } from "./ended.js";
import { Lobby } from "./lobby.js";
import { Room } from "./room.js";

/** What is shown by HTTP status when there is no meeting to join. */
const NOTHING_THERE = {
  404: {
    state: "denied",
    title: "There is no meeting here.",
    endReason: "It has ended, or its code has a mistake. Check the code or ask for a new link.",
  },
  410: { state: "ended", endReason: "Ask its host for a new link, or start your own meeting." },
};
const OVER = new Set(["ended", "left", "removed", "denied"]);
/** Pauses between looks from the lobby: an end that happened a moment ago shows at once. */
const LOOK_MS = [1000, 2000, 4000, 8000, 15000];

class MeetingPage {
  element = h("div", { class: "fill" });
  #app;
  #meetingId;
  #media = new LocalMedia();
  #meeting = null;
  #view = null;
  #disposed = false;

  constructor(app, meetingId) {
    this.#app = app;
    this.#meetingId = meetingId;
    this.#showLobby();
  }

  #showLobby() {
    const created = this.#app.created?.meetingId === this.#meetingId ? this.#app.created : null;
    const lobby = new Lobby(this.#app, {
      media: this.#media,
      meetingId: this.#meetingId,
      account: session.get(),
      hosting: Boolean(created),
      onJoin: () => this.#join(lobby, created),
    });
    this.#app.debug.page = "lobby";
    this.#replace(lobby);
    this.#media.open();
    if (!created) this.#look(lobby);
  }

  /** Finds out early that there is nothing to join, or no more, while the lobby is shown. */
  async #look(lobby) {
    for (let looks = 0; this.#view === lobby && !this.#disposed; looks += 1) {
      const status = await this.#statusNow();
      if (this.#view !== lobby || this.#disposed) return;
      if (!this.#meeting && NOTHING_THERE[status]) {
        this.#nothing(status);
        return;
      }
      const pause = LOOK_MS[Math.min(looks, LOOK_MS.length - 1)];
      await new Promise((resolve) => { setTimeout(resolve, pause); });
    }
  }

  /** The HTTP status that describes the meeting: 410 once it has ended, 0 when it is there. */
  async #statusNow() {
    if (this.#meeting) return 0;
    try {
      const meeting = await this.#app.api.getMeeting(this.#meetingId);
      return meeting.server === "" ? 410 : 0;
    } catch (error) {
      return error.status ?? 0;
    }
  }

  /** There is no such meeting, or it has ended: says so instead of the lobby. */
  #nothing(status) {
    recent.remove(this.#meetingId);
    this.#media.close();
    this.#meeting = null;
    const over = NOTHING_THERE[status];
    this.#app.debug.page = over.state;
    this.#replace(endedView(this.#app, over, () => this.#again()));
  }

  async #join(lobby, created) {
    const meeting = new Meeting({
      api: this.#app.api,
      media: this.#media,
      account: session.get(),
      meetingId: this.#meetingId,
      created,
    });
    this.#app.created = null;
    this.#app.debug.meeting = meeting;
    this.#meeting = meeting;
    meeting.on("state", (state) => this.#onState(state));
    try {
      await meeting.join();
    } catch (error) {
      this.#app.debug.page = "lobby";
      this.#meeting = null;
      if (NOTHING_THERE[error.status]) this.#nothing(error.status);
      else lobby.fail(describeProblem(error, "join"));
    }
  }

  #onState(state) {
    if (this.#disposed) return;
    if (OVER.has(state)) {
      this.#media.close();
      this.#replace(endedView(this.#app, this.#meeting, () => this.#again()));
      return;
    }
    if (state === "waiting" && this.#view instanceof Lobby) this.#view.wait();
    if (state !== "live" && state !== "reconnecting") return;
    if (this.#view instanceof Room) return;
    recent.add({ meetingId: this.#meetingId, at: Date.now(), hosted: this.#meeting.isHost });
    this.#replace(new Room(this.#app, this.#meeting));
  }

  #again() {
    this.#meeting = null;
    this.#media = new LocalMedia();
    this.#showLobby();
  }

  #replace(view) {
    this.#view?.dispose?.();
    this.#view = view;
    this.element.replaceChildren(view.element);
    view.focus?.();
  }

  /** Leaves when the page goes away. */
  dispose() {
    this.#disposed = true;
    this.#view?.dispose?.();
    this.#meeting?.leave();
    this.#media.close();
  }
}

export function meetingPage(app, meetingId) {
  const page = new MeetingPage(app, meetingId);
  const onHide = (event) => { if (!event.persisted) page.dispose(); };
  window.addEventListener("pagehide", onHide);
  return {
    element: page.element,
    dispose: () => {
      window.removeEventListener("pagehide", onHide);
      page.dispose();
    },
  };
}
