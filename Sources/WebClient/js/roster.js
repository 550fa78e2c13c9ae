// Who is in the meeting and what they publish, as the packets tell.
// Pure. SPDX-License-Identifier: Apache-2.0

import { displayName } from "./names.js";

const KIND_SOURCES = {
  audio: "microphone", microphone: "microphone",
  video: "camera", camera: "camera",
  screen: "screen",
};

class Participant {
  constructor(accountId, order) {
    this.accountId = accountId;
    this.order = order;
    this.name = displayName("", accountId);
    this.self = false;
    this.host = false;
    this.hand = false;
    this.handAt = 0;
    this.level = 0;
    this.speaking = false;
    this.spokeAt = 0;
    this.feeds = new Map();
    this.mutes = new Map();
    this.local = null;
  }

  /**
   * True when the account publishes this source and it is not muted. For oneself `local`
   * {microphone, camera, screen} is the truth.
   */
  sends(source) {
    if (this.local) return Boolean(this.local[source]);
    const feed = this.feeds.get(source);
    return Boolean(feed) && !(this.mutes.get(source) ?? feed.muted ?? false);
  }

  get muted() {
    return !this.sends("microphone");
  }

  get cameraOff() {
    return !this.sends("camera");
  }
}

export class Roster {
  #people = new Map();
  #names = new Map();
  #order = 0;
  #self;
  #host = null;

  /** self: {accountId, name} of the person here. */
  constructor(self) {
    this.#self = self;
    this.#names.set(self.accountId, self.name);
    this.add(self.accountId);
  }

  get host() {
    return this.#host;
  }

  set host(accountId) {
    this.#host = accountId;
    for (const person of this.#people.values()) person.host = person.accountId === accountId;
  }

  get(accountId) {
    return this.#people.get(accountId) ?? null;
  }

  /** Everybody, oneself first, then in the order they came. */
  list() {
    return [...this.#people.values()].sort((a, b) => (b.self - a.self) || (a.order - b.order));
  }

  others() {
    return this.list().filter((person) => !person.self);
  }

  name(accountId) {
    return displayName(this.#names.get(accountId), accountId);
  }

  /** Learns a display name, which may come before or after its owner. */
  setName(accountId, name) {
    if (!name) return;
    this.#names.set(accountId, String(name));
    const person = this.#people.get(accountId);
    if (person) person.name = this.name(accountId);
  }

  add(accountId) {
    const known = this.#people.get(accountId);
    if (known) return known;
    const person = new Participant(accountId, this.#order);
    this.#order += 1;
    person.self = accountId === this.#self.accountId;
    person.host = accountId === this.#host;
    person.name = this.name(accountId);
    this.#people.set(accountId, person);
    return person;
  }

  remove(accountId) {
    if (accountId === this.#self.accountId) return null;
    const person = this.#people.get(accountId) ?? null;
    this.#people.delete(accountId);
    return person;
  }

  /** Takes a complete list of accounts. Returns {added, removed}: participants. */
  replace(accountIds) {
    const there = new Set(accountIds);
    const removed = this.others().filter((person) => !there.has(person.accountId));
    removed.forEach((person) => this.remove(person.accountId));
    const added = accountIds.filter((id) => !this.#people.has(id)).map((id) => this.add(id));
    return { added, removed };
  }

  /** Takes a FEEDS packet. Returns the participant, or null for a stranger. */
  setFeeds(accountId, feeds) {
    const person = this.#people.get(accountId);
    if (!person) return null;
    person.feeds = new Map(feeds.map((feed) => [
      feed.source ?? KIND_SOURCES[feed.kind] ?? "camera", feed,
    ]));
    person.mutes.clear();
    return person;
  }

  /** Takes a MUTE packet's kind (audio, video or a source). */
  setMuted(accountId, kind, muted) {
    const person = this.#people.get(accountId);
    const source = KIND_SOURCES[kind];
    if (!person || !source) return null;
    person.mutes.set(source, Boolean(muted));
    return person;
  }

  setHand(accountId, raised, now) {
    const person = this.#people.get(accountId);
    if (!person) return null;
    person.hand = Boolean(raised);
    person.handAt = raised ? now : 0;
    return person;
  }

  /**
   * Takes a SPEAKERS packet's list, the dominant speaker first. Whoever is not named is quiet.
   * Returns the participants whose speaking began or stopped.
   */
  setSpeakers(active, now) {
    const levels = new Map(active.map((entry) => [entry.account_id, entry.level ?? 0]));
    return [...this.#people.values()].filter((person) => {
      const speaking = levels.has(person.accountId) && !person.muted;
      person.level = levels.get(person.accountId) ?? 0;
      if (speaking) person.spokeAt = now;
      const changed = speaking !== person.speaking;
      person.speaking = speaking;
      return changed;
    });
  }
}

/**
 * The order of the tiles: the present order, with somebody who speaks on a later page put in the
 * place of the one on the first page who has been quiet longest. Keeps everybody else in place.
 *
 * order     account ids as shown now
 * capacity  how many are on the first page
 * spokeAt   map of account id → time of the last word (0 = never)
 * speaker   the dominant speaker's account id or null
 * fixed     how many at the front never move (oneself)
 */
export function promoteSpeaker(order, { capacity, spokeAt, speaker, fixed = 1 }) {
  const from = speaker === null ? -1 : order.indexOf(speaker);
  if (from < capacity || capacity <= fixed) return order;
  let to = fixed;
  for (let index = fixed; index < capacity; index += 1) {
    if ((spokeAt.get(order[index]) ?? 0) < (spokeAt.get(order[to]) ?? 0)) to = index;
  }
  const next = [...order];
  [next[from], next[to]] = [next[to], next[from]];
  return next;
}
