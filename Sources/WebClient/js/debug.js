// window.roundhouse: the read-only surface the README describes.
// SPDX-License-Identifier: Apache-2.0

import { summarize } from "./stats.js";

const PACKETS_MAX = 400;
const ERRORS_MAX = 50;

export class DebugSurface {
  #packets = [];
  #errors = [];
  #meeting = null;
  #page = "auth";

  constructor(account) {
    const surface = this.#describe(account);
    Object.defineProperty(window, "roundhouse", { value: Object.freeze(surface) });
    window.addEventListener("error", (event) => this.error("page", event.message));
    window.addEventListener("unhandledrejection", (event) => this.error("promise", event.reason));
  }

  /** The page shown outside a meeting: auth, home or lobby. */
  set page(name) {
    this.#page = name;
    this.#meeting = null;
  }

  set meeting(meeting) {
    this.#meeting = meeting;
    this.#packets = [];
    meeting.on("trace", ({ direction, packet }) => {
      this.#packets.push({ at: Math.round(performance.now()), direction, packet });
      if (this.#packets.length > PACKETS_MAX) this.#packets.shift();
    });
    meeting.on("error", ({ where, message }) => this.error(where, message));
  }

  error(where, reason) {
    const message = String(reason?.message ?? reason);
    this.#errors.push({ at: Math.round(performance.now()), where, message });
    if (this.#errors.length > ERRORS_MAX) this.#errors.shift();
  }

  #describe(account) {
    const self = this;
    const meeting = () => self.#meeting;
    return {
      version: 1,
      get state() { return meeting()?.state ?? self.#page; },
      get accountId() { return account()?.accountId ?? null; },
      get meetingId() { return meeting()?.meetingId ?? null; },
      get host() { return meeting()?.roster.host ?? null; },
      get isHost() { return meeting()?.isHost ?? false; },
      get users() { return (meeting()?.roster.list() ?? []).map(describePerson); },
      get slots() { return meeting()?.slots.list() ?? []; },
      get subscriptions() {
        return [...(meeting()?.subscriptions.values() ?? [])].map((entry) => ({ ...entry }));
      },
      get pc() { return meeting()?.peer?.pc ?? null; },
      getStats: () => summarize(meeting()?.peer ?? null, meeting()?.slots),
      get timeToFirstFrame() { return Object.fromEntries(meeting()?.firstFrames ?? []); },
      get packets() { return structuredClone(self.#packets); },
      get errors() { return structuredClone(self.#errors); },
      dropSocket: () => meeting()?.dropSocket(),
    };
  }
}

function describePerson(person) {
  return {
    accountId: person.accountId,
    name: person.name,
    self: person.self,
    host: person.host,
    muted: person.muted,
    cameraOff: person.cameraOff,
    hand: person.hand,
    feeds: [...person.feeds.values()].map((feed) => ({ ...feed })),
  };
}
