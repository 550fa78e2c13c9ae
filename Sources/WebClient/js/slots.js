// The receiving sections of the connection and what each carries now.
// Pure but for the opaque `track`. SPDX-License-Identifier: Apache-2.0

import { feedKey } from "./subscriptions.js";

export class SlotTable {
  #slots = new Map();
  #byFeed = new Map();
  #pending = null;

  /** Makes a section known by its mid. A packet that named it before is applied now. */
  add(mid, kind, track) {
    if (this.#slots.has(mid)) return;
    this.#slots.set(mid, { mid, kind, track, accountId: "", source: "", layer: null, bitrate: 0 });
    if (this.#pending) this.apply(this.#pending);
  }

  /**
   * Takes a SLOTS packet's list, which is always complete: a section it does not name is free.
   * Returns the keys of the feeds that appeared, moved or went.
   */
  apply(list) {
    const named = new Map(list.map((entry) => [String(entry.mid), entry]));
    this.#pending = list;
    const before = new Map([...this.#byFeed].map(([key, slot]) => [key, slot.mid]));
    this.#byFeed.clear();
    for (const slot of this.#slots.values()) {
      const entry = named.get(slot.mid);
      slot.accountId = entry?.account_id ?? "";
      slot.source = slot.accountId ? (entry.source ?? defaultSource(slot.kind)) : "";
      slot.layer = entry?.layer ?? null;
      slot.bitrate = entry?.bitrate ?? 0;
      if (slot.accountId) this.#byFeed.set(feedKey(slot.accountId, slot.source), slot);
    }
    return changedKeys(before, this.#byFeed);
  }

  /** The slot that carries a feed now, or null. */
  find(accountId, source) {
    return this.#byFeed.get(feedKey(accountId, source)) ?? null;
  }

  /** How many sections of a kind (audio, video) there are. */
  count(kind) {
    return [...this.#slots.values()].filter((slot) => slot.kind === kind).length;
  }

  list() {
    return [...this.#slots.values()].map(({ track, ...rest }) => ({ ...rest }));
  }

  tracks(kind) {
    return [...this.#slots.values()].filter((slot) => slot.kind === kind);
  }
}

function defaultSource(kind) {
  return kind === "audio" ? "microphone" : "camera";
}

function changedKeys(before, now) {
  const changed = new Set();
  for (const [key, slot] of now) if (before.get(key) !== slot.mid) changed.add(key);
  for (const key of before.keys()) if (!now.has(key)) changed.add(key);
  return [...changed];
}
