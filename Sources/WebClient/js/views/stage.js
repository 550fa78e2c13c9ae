// The grid and the stage: which tiles there are, where they lie, what is subscribed to.
// SPDX-License-Identifier: Apache-2.0

import { pageCapacity, paginate, placeGrid, placeRest, placeStage, TILES_MAX } from "../layout.js";
import { promoteSpeaker } from "../roster.js";
import { h } from "../ui/dom.js";
import { iconButton } from "../ui/widgets.js";
import { Tile } from "./tile.js";

/** Shapes for a box: pictures are cropped less where there is width for it. */
function settings(box, gap, count) {
  const tall = box.height > box.width;
  return {
    gap,
    minAspect: count === 1 && tall ? 0.6 : (tall ? 1 : 4 / 3),
    minTileWidth: box.width < 520 ? 112 : 132,
  };
}

export class Stage {
  #meeting;
  #tiles = new Map();
  #order = [];
  #page = 0;
  #pages = 1;
  #pinned = null;
  #seenScreens = new Set();
  #dominant = null;
  #observer;
  #scheduled = 0;
  #grid = h("div", { id: "grid", class: "grid", role: "region", "aria-label": "Participants" });
  #alone = h("div", { class: "alone", hidden: true });
  #prev = iconButton({
    id: "page-prev", name: "left", label: "Previous page", className: "small",
    onclick: () => this.turn(-1),
  });
  #next = iconButton({
    id: "page-next", name: "right", label: "Next page", className: "small",
    onclick: () => this.turn(1),
  });
  #pageText = h("span", { class: "page-text", role: "status" });

  constructor(meeting, { invitation }) {
    this.#meeting = meeting;
    this.#alone.append(invitation);
    this.element = h("div", { id: "stage", class: "stage" }, this.#grid, this.#alone);
    /** The control that turns pages; the owner gives it a place. */
    this.pager = h("div", { class: "pager", role: "group", "aria-label": "Pages", hidden: true },
      this.#prev, this.#pageText, this.#next);
    this.#observer = new ResizeObserver(() => this.schedule());
    this.#observer.observe(this.#grid);
  }

  /** Lays out soon; many calls make one. */
  schedule() {
    if (this.#scheduled) return;
    this.#scheduled = setTimeout(() => {
      this.#scheduled = 0;
      this.update();
    }, 0);
  }

  turn(step) {
    this.#page = Math.min(Math.max(0, this.#page + step), this.#pages - 1);
    this.update();
  }

  /** Takes news of who speaks: outlines at once, places when a hidden one speaks. */
  speakers({ changed, dominant }) {
    this.#dominant = dominant;
    for (const person of changed) {
      const tile = this.#tiles.get(`${person.accountId} camera`);
      if (tile) tile.element.dataset.speaking = String(person.speaking);
    }
    const hidden = dominant && this.#tiles.get(`${dominant} camera`)?.element.hidden;
    if (hidden) this.schedule();
  }

  react({ accountId, reaction }) {
    this.#tiles.get(`${accountId} camera`)?.react(reaction);
  }

  update() {
    this.#syncTiles();
    const box = { width: this.#grid.clientWidth, height: this.#grid.clientHeight };
    if (box.width === 0 || box.height === 0) return;
    const stageKey = this.#stageKey();
    const rest = this.#order.filter((key) => key !== stageKey);
    const gap = box.width < 520 ? 6 : 10;
    const shown = stageKey
      ? this.#layStage(stageKey, rest, box, gap)
      : this.#layGrid(rest, box, gap);
    for (const [key, tile] of this.#tiles) {
      tile.place(shown.get(key) ?? null);
      tile.update({ pinned: key === stageKey });
      tile.element.classList.toggle("on-stage", key === stageKey);
    }
    this.#alone.hidden = this.#meeting.roster.list().length > 1 || Boolean(stageKey);
    this.#grid.dataset.stage = String(Boolean(stageKey));
    this.#renderPager();
    this.#want(shown, stageKey);
  }

  #syncTiles() {
    const keys = [];
    for (const person of this.#meeting.roster.list()) {
      keys.push([person.accountId, "camera"]);
      if (person.sends("screen")) keys.push([person.accountId, "screen"]);
    }
    const alive = new Set(keys.map((pair) => pair.join(" ")));
    for (const [key, tile] of this.#tiles) {
      if (alive.has(key)) continue;
      tile.dispose();
      this.#tiles.delete(key);
      this.#seenScreens.delete(key);
      if (this.#pinned === key) this.#pinned = null;
    }
    for (const [accountId, source] of keys) this.#addTile(accountId, source);
    this.#order = [
      ...this.#order.filter((key) => alive.has(key)),
      ...[...alive].filter((key) => !this.#order.includes(key)),
    ];
  }

  #addTile(accountId, source) {
    const key = `${accountId} ${source}`;
    if (this.#tiles.has(key)) return;
    const tile = new Tile(this.#meeting, accountId, source, {
      onPin: () => {
        this.#pinned = this.#stageKey() === key ? "" : key;
        this.update();
      },
    });
    this.#tiles.set(key, tile);
    this.#grid.append(tile.element);
    if (source === "screen") {
      this.#seenScreens.add(key);
      const own = accountId === this.#meeting.account.accountId;
      if (!own || this.#pinned === "") this.#pinned = null;
    }
  }

  /** What stands on the stage: the pinned tile, else the newest screen of somebody else. */
  #stageKey() {
    if (this.#pinned === "") return null;
    if (this.#pinned) return this.#pinned;
    const own = `${this.#meeting.account.accountId} screen`;
    const screens = [...this.#seenScreens].filter((key) => key !== own);
    return screens[screens.length - 1] ?? null;
  }

  #layGrid(keys, box, gap) {
    const options = settings(box, gap, keys.length);
    const visible = this.#visible(keys, Math.min(TILES_MAX, pageCapacity(box, options)));
    const places = placeGrid(visible.length, box, settings(box, gap, visible.length));
    return new Map(visible.map((key, index) => [key, places[index]]));
  }

  #layStage(stageKey, keys, box, gap) {
    const options = settings(box, gap, keys.length);
    const layout = placeStage(box, keys.length, options);
    const shown = new Map([[stageKey, layout.stage]]);
    const visible = this.#visible(keys, Math.min(TILES_MAX - 1, layout.capacity));
    if (!layout.rest) return shown;
    const places = placeRest(visible.length, layout, options);
    visible.forEach((key, index) => shown.set(key, places[index]));
    return shown;
  }

  #promote(keys, capacity) {
    const spokeAt = new Map(this.#meeting.roster.list()
      .map((person) => [`${person.accountId} camera`, person.spokeAt]));
    const speaker = this.#dominant ? `${this.#dominant} camera` : null;
    const ordered = promoteSpeaker(keys, { capacity, spokeAt, speaker });
    if (ordered !== keys) {
      const staged = this.#order.filter((key) => !keys.includes(key));
      this.#order = [...ordered, ...staged];
    }
    return ordered;
  }

  /** The keys on the present page. */
  #visible(keys, capacity) {
    const ordered = this.#promote(keys, capacity);
    const page = paginate(ordered.length, capacity, this.#page);
    this.#page = page.page;
    this.#pages = page.pages;
    return ordered.slice(page.start, page.end);
  }

  #renderPager() {
    this.pager.hidden = this.#pages <= 1;
    this.#prev.disabled = this.#page === 0;
    this.#next.disabled = this.#page === this.#pages - 1;
    const text = `${this.#page + 1} / ${this.#pages}`;
    if (this.#pageText.textContent === text) return;
    this.#pageText.textContent = text;
    this.#pageText.setAttribute("aria-label", `Page ${this.#page + 1} of ${this.#pages}`);
  }

  /** Tells the meeting which feeds are visible, the stage first. */
  #want(shown, stageKey) {
    const keys = stageKey ? [stageKey, ...[...shown.keys()].filter((k) => k !== stageKey)]
      : [...shown.keys()];
    this.#meeting.setWanted(keys.map((key) => {
      const tile = this.#tiles.get(key);
      const { width, height } = shown.get(key);
      return { accountId: tile.accountId, source: tile.source, width, height };
    }));
  }

  dispose() {
    clearTimeout(this.#scheduled);
    this.#observer.disconnect();
    for (const tile of this.#tiles.values()) tile.dispose();
  }
}
