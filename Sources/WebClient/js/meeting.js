// One meeting: joins signalling, connection, roster and subscriptions together. No DOM.
// SPDX-License-Identifier: Apache-2.0
//
// Emits: state, people (who or what changed), feeds (what a tile shows may have changed),
// speakers, chat {accountId, name, text, at, self}, reaction {accountId, reaction},
// notice {text, tone}, quality, trace, connection.

import { ticketSecondsLeft } from "./api.js";
import { bitrateFor } from "./bitrate.js";
import { Emitter } from "./emitter.js";
import { PACKETS } from "./packets.js";
import { Peer } from "./peer.js";
import { describeDenial, describeProblem } from "./problems.js";
import { Roster } from "./roster.js";
import { Signaling } from "./signaling.js";
import { SlotTable } from "./slots.js";
import { audioSlotsFor, plan, remap, videoSlotsFor } from "./subscriptions.js";

const FIRST_SUBSCRIBE_MS = 10;
const SUBSCRIBE_EVERY_MS = 200;
/** A ticket with less life than this is renewed before use, s. */
const TICKET_MARGIN_S = 10;
/** New starts in a row without a media connection, and what each waits longer, ms. */
const REJOINS_MAX = 4;
const REJOIN_STEP_MS = 1_500;

export class Meeting extends Emitter {
  state = "lobby";
  endReason = "";
  meetingId;
  account;
  roster;
  slots = new SlotTable();
  peer = null;
  media;
  quality = null;
  joinedAt = 0;
  seenAt = new Map();
  firstFrames = new Map();
  subscriptions = new Map();
  lateComers = new Set();
  /** Guests in the waiting room, account id → name; known to the host. */
  waiting = new Map();
  locked = false;
  waitingRoom = false;
  #before = new Map();
  #wasLive = false;
  #rejoins = 0;
  #rejoinTimer = 0;
  #api;
  #created;
  #signaling;
  #wanted = [];
  #subscribeTimer = 0;
  #subscribedAt = -Infinity;
  #offMedia = [];
  #sentMutes = new Map();

  /**
   * api        Api · media LocalMedia
   * account    {accountId, name}
   * created    {server, ticket} when this person has just created the meeting, else null
   */
  constructor({ api, media, account, meetingId, created }) {
    super();
    this.#api = api;
    this.media = media;
    this.account = account;
    this.meetingId = meetingId;
    this.#created = created;
    this.roster = new Roster(account);
    if (created) this.roster.host = account.accountId;
    this.#noteLocal();
  }

  get isHost() {
    return this.roster.host === this.account.accountId;
  }

  /** Enters the meeting. Throws an ApiError when the meeting service refuses. */
  async join() {
    this.joinedAt = performance.now();
    this.#noteLocal();
    this.#setState("connecting");
    this.#makePeer();
    this.#listenToMedia();
    try {
      await this.#enter();
    } catch (error) {
      this.#teardown();
      this.#setState("lobby");
      throw error;
    }
  }

  async #enter() {
    const created = this.#created;
    this.#created = null;
    const fresh = created && ticketSecondsLeft(created.ticket) > TICKET_MARGIN_S;
    const joined = this.#api.joinMeeting(this.meetingId);
    // Who has just created the meeting has a ticket: the call then only counts them in.
    if (fresh) joined.catch(() => {});
    const grant = fresh ? created : await joined;
    const first = fresh && !created.moved
      ? { content_type: "INIT", host: this.account.accountId, ticket: grant.ticket }
      : { content_type: "JOIN", account_id: this.account.accountId, ticket: grant.ticket };
    this.#signaling ??= this.#makeSignaling();
    this.#signaling.start(grant.server, first);
  }

  #makeSignaling() {
    const signaling = new Signaling(this.meetingId);
    signaling.on("packet", (packet) => this.#onPacket(packet));
    signaling.on("trace", (entry) => this.emit("trace", entry));
    signaling.on("interrupted", () => {
      if (this.#wasLive) this.#setState("reconnecting");
    });
    signaling.on("live", ({ resumed }) => this.#onLive(resumed));
    signaling.on("rejoin", () => this.#rejoin());
    signaling.on("closed", (reason) => this.#onClosed(reason));
    signaling.on("gaveUp", () => this.#finish("denied",
      "The connection to the meeting was lost. Check your network, then join again."));
    return signaling;
  }

  /** The node closed the socket and said why. */
  #onClosed(reason) {
    this.deny(reason);
  }

  #makePeer() {
    this.peer?.close();
    this.slots = new SlotTable();
    this.subscriptions = new Map();
    this.#sentMutes.clear();
    const peer = new Peer(this.slots);
    this.peer = peer;
    const mine = (action) => (value) => { if (this.peer === peer) action(value); };
    peer.on("offer", mine((offer) => {
      if (this.#signaling?.open) this.#signaling.send("OFFER", offer);
    }));
    peer.on("slots", mine(() => this.emit("feeds")));
    peer.on("state", mine((state) => {
      if (state === "connected") this.#rejoins = 0;
      this.emit("connection", state);
    }));
    peer.on("failed", mine((error) => {
      this.emit("error", { where: "peer", message: error.message });
      this.#rejoinForMedia();
    }));
    peer.publish({
      micTrack: this.media.micTrack,
      cameraTrack: this.media.cameraTrack,
    });
    peer.ensureSlots({ audio: audioSlotsFor(1), video: videoSlotsFor(1) });
    if (this.media.screenTrack) peer.setScreen(this.media.screenTrack);
  }

  /** Starts again from a new ticket: the session is gone. */
  #rejoin() {
    if (!this.#active) return;
    if (this.#wasLive) this.#setState("reconnecting");
    this.#enterAgain();
  }

  /** Starts again because media can't get through; not for ever. */
  #rejoinForMedia() {
    if (!this.#active) return;
    if (this.#wasLive) this.#setState("reconnecting");
    this.#rejoins += 1;
    if (this.#rejoins > REJOINS_MAX) {
      this.#finish("denied", "Sound and picture can’t reach the meeting’s server. A firewall may "
        + "be in the way: try another network, or ask whoever runs this server.");
      return;
    }
    clearTimeout(this.#rejoinTimer);
    this.#rejoinTimer = setTimeout(() => this.#enterAgain(), (this.#rejoins - 1) * REJOIN_STEP_MS);
  }

  async #enterAgain() {
    if (!this.#active) return;
    this.#makePeer();
    try {
      await this.#enter();
    } catch (error) {
      const gone = error.status === 404 || error.status === 410;
      if (gone) this.#finish("ended", "The meeting ended while you were away.");
      else if (error.status) this.#finish("denied", describeProblem(error, "join"));
      else this.#signaling.drop();
    }
  }

  #onLive(resumed) {
    this.#wasLive = true;
    this.#setState("live");
    if (resumed) this.peer.repeatOffer();
    else this.peer.negotiate();
    this.#tellMutes();
    this.#planSubscriptions();
  }

  #onPacket(packet) {
    if (packet.meeting_id && packet.meeting_id !== this.meetingId) return;
    PACKETS[packet.content_type]?.(this, packet);
  }

  // What the handlers in packets.js call.

  admitted(details) {
    if (this.state === "waiting") this.joinedAt = performance.now();
    this.#signaling.joined(details);
  }

  seen(accountId) {
    if (!this.seenAt.has(accountId)) this.seenAt.set(accountId, performance.now());
  }

  /** Somebody left: what was bound to them is gone at the node as well. */
  forget(accountId) {
    for (const key of [...this.subscriptions.keys()]) {
      if (this.subscriptions.get(key).accountId === accountId) this.subscriptions.delete(key);
    }
    this.seenAt.delete(accountId);
    this.firstFrames.delete(accountId);
  }

  takeAnswer(sdp) {
    this.peer?.answer(sdp);
  }

  takeSlots(list) {
    if (this.slots.apply(list).length > 0) this.emit("feeds");
  }

  /** The node refused a remap as a whole: what stood before stands, less who has gone. */
  subscriptionRefused() {
    this.subscriptions = new Map([...this.#before]
      .filter(([, entry]) => this.roster.get(entry.accountId)));
    this.#planSubscriptions();
  }

  /** The node can't answer our offer: start again, a few times. */
  offerRefused(message) {
    this.emit("error", { where: "offer", message });
    this.#rejoinForMedia();
  }

  /** Somebody waits to be let in (only a host is told). */
  knocked(accountId, name) {
    this.roster.setName(accountId, name);
    this.waiting.set(accountId, this.roster.name(accountId));
    const text = `${this.roster.name(accountId)} waits to come in.`;
    this.emit("notice", { text, tone: "info" });
    this.emit("people");
  }

  /** The host is being asked whether we may come in. */
  mustWait() {
    this.#signaling.admissionPending();
    this.#setState("waiting");
  }

  feedsChanged() {
    const speakers = this.roster.others().filter((p) => p.feeds.has("microphone")).length;
    this.peer?.ensureSlots({ audio: audioSlotsFor(speakers), video: 0 });
    this.emit("people");
    this.emit("feeds");
    this.#planSubscriptions();
  }

  move(server, ticket) {
    this.#created = { server, ticket, moved: true };
    this.#rejoin();
  }

  finish(state, reason) {
    this.#finish(state, reason);
  }

  deny(reason) {
    const states = { ended: "ended", replaced: "removed", removed: "removed" };
    this.#finish(states[reason] ?? "denied", describeDenial(reason));
  }

  /** A host muted us: obey at the source too. */
  async mutedByHost(source) {
    if (source === "microphone" && this.media.micOn) {
      await this.media.setMic(false);
      this.emit("notice", { text: "The host muted your microphone.", tone: "info" });
    }
    if (source === "camera" && this.media.cameraOn) {
      await this.media.setCamera(false);
      this.emit("notice", { text: "The host turned your camera off.", tone: "info" });
    }
  }

  // What the views ask for.

  /**
   * The tiles that are shown now, most important first: only they are subscribed to.
   * wanted  [{accountId, source, width, height}] in CSS pixels
   */
  setWanted(wanted) {
    this.#wanted = wanted;
    this.#planSubscriptions();
  }

  #planSubscriptions() {
    if (this.state !== "live" || this.#subscribeTimer) return;
    const since = performance.now() - this.#subscribedAt;
    const wait = Math.max(FIRST_SUBSCRIBE_MS, SUBSCRIBE_EVERY_MS - since);
    this.#subscribeTimer = setTimeout(() => {
      this.#subscribeTimer = 0;
      if (this.state === "live") this.#subscribe();
    }, wait);
  }

  #subscribe() {
    const ratio = window.devicePixelRatio || 1;
    const desired = plan(this.#wanted
      .filter(({ accountId, source }) => accountId !== this.account.accountId
        && this.roster.get(accountId)?.feeds.has(source))
      .map((tile) => ({ ...tile, bitrate: bitrateFor({ ...tile, ratio }) })));
    const packet = remap(this.subscriptions, desired);
    if (!packet) return;
    this.#subscribedAt = performance.now();
    this.#before = this.subscriptions;
    this.subscriptions = desired;
    this.peer.ensureSlots({ audio: 0, video: videoSlotsFor(desired.size) });
    this.#signaling.send("UNSUB_SUB", packet);
  }

  /** Remembers when a picture of an account's camera was first shown. */
  sawFrame(accountId) {
    if (this.firstFrames.has(accountId)) return this.firstFrames.get(accountId);
    const since = Math.max(this.joinedAt, this.seenAt.get(accountId) ?? 0);
    const late = since - this.joinedAt > 0 && this.lateComers?.has(accountId);
    const ms = Math.round(performance.now() - (late ? since : this.joinedAt));
    this.firstFrames.set(accountId, ms);
    return ms;
  }

  async shareScreen() {
    const track = await this.media.openScreen();
    await this.peer.setScreen(track);
    this.#onMedia();
    return track;
  }

  async stopScreen() {
    this.media.closeScreen();
    await this.peer?.setScreen(null);
    this.#onMedia();
  }

  sendChat(text) {
    const { accountId, name } = this.account;
    this.#signaling.send("CHAT", { text });
    this.emit("chat", { accountId, name, text, at: Date.now(), self: true });
  }

  react(reaction) {
    this.#signaling.send("REACTION", { reaction });
    this.emit("reaction", { accountId: this.account.accountId, reaction });
  }

  setHand(raised) {
    this.roster.setHand(this.account.accountId, raised, Date.now());
    this.#signaling.send("HAND", { account_id: this.account.accountId, raised });
    this.emit("people");
  }

  muteOther(accountId, kind = "audio") {
    this.#signaling.send("MUTE", { account_id: accountId, kind, muted: true });
  }

  kick(accountId) {
    this.#signaling.send("KICK", { account_id: accountId });
  }

  admit(accountId, welcome) {
    this.waiting.delete(accountId);
    this.#signaling.send(welcome ? "ADMIT" : "DENY", { account_id: accountId });
    this.emit("people");
  }

  /** Locks the door, or has newcomers wait for the host. */
  setDoor({ locked = this.locked, waitingRoom = this.waitingRoom }) {
    this.#signaling.send("LOCK", { locked, waiting_room: waitingRoom });
  }

  leave() {
    if (!this.#active) return;
    this.#signaling?.send("LEAVE", { account_id: this.account.accountId });
    this.#finish("left", "You left the meeting.");
  }

  /** Ends the meeting for everybody; the node answers with END. */
  end() {
    this.#signaling.send("END");
  }

  /** Closes the socket without a word (tests). */
  dropSocket() {
    this.#signaling?.drop();
  }

  get #active() {
    return ["connecting", "waiting", "live", "reconnecting"].includes(this.state);
  }

  #listenToMedia() {
    this.#offMedia.forEach((off) => off());
    this.#offMedia = [
      this.media.on("change", () => this.#onMedia()),
      this.media.on("screen-ended", () => this.stopScreen()),
    ];
  }

  #noteLocal() {
    const { micOn, micTrack, cameraOn, cameraTrack, screenTrack } = this.media;
    this.roster.get(this.account.accountId).local = {
      microphone: Boolean(micOn && micTrack),
      camera: Boolean(cameraOn && cameraTrack),
      screen: Boolean(screenTrack),
    };
  }

  #onMedia() {
    this.#noteLocal();
    this.peer?.replace("microphone", this.media.micTrack);
    this.peer?.replace("camera", this.media.cameraTrack);
    this.#tellMutes();
    this.emit("people");
  }

  /** Tells the node about microphone and camera where that changed. */
  #tellMutes() {
    if (this.state !== "live") return;
    const { local } = this.roster.get(this.account.accountId);
    const now = { audio: !local.microphone, video: !local.camera };
    for (const [kind, muted] of Object.entries(now)) {
      if ((this.#sentMutes.get(kind) ?? false) === muted) continue;
      this.#sentMutes.set(kind, muted);
      this.#signaling.send("MUTE", { account_id: this.account.accountId, kind, muted });
    }
  }

  #setState(state) {
    if (this.state === state) return;
    this.state = state;
    this.emit("state", state);
  }

  #finish(state, reason) {
    if (!this.#active) return;
    this.endReason = reason;
    this.#teardown();
    if (state !== "ended") this.#api.leaveMeeting(this.meetingId);
    this.#setState(state);
  }

  #teardown() {
    clearTimeout(this.#subscribeTimer);
    clearTimeout(this.#rejoinTimer);
    this.#subscribeTimer = 0;
    this.#offMedia.forEach((off) => off());
    this.#offMedia = [];
    this.media.closeScreen();
    this.#signaling?.close();
    this.#signaling = undefined;
    this.peer?.close();
    this.peer = null;
  }
}
