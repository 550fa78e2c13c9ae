// The WebSocket to the routing node: packets out and in, and taking a lost session up again.
// SPDX-License-Identifier: Apache-2.0
//
// Emits: packet (each packet from the node), live {resumed}, interrupted, rejoin (a new ticket and
// connection are needed), closed (by the node, with its reason), gaveUp, trace {direction, packet}.

import { Emitter } from "./emitter.js";
import { ConnectionMachine } from "./reconnect.js";

const SUBPROTOCOL = "roundhouse.v1";
/** An attempt that has not opened and been answered after this long is given up, ms. */
const ATTEMPT_MS = 8_000;
const QUEUE_MAX = 100;
/** Texts of close frames after which coming back makes no sense, and the reason they stand for. */
const FINAL_REASONS = [
  [/^the meeting has ended/, "ended"], [/^replaced/, "replaced"], [/^removed/, "removed"],
];

function finalReason(text) {
  return FINAL_REASONS.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}
/** Fields that the trace never shows. */
const MASKED = new Set(["ticket", "session"]);

export class Signaling extends Emitter {
  #meetingId;
  #machine = new ConnectionMachine();
  #socket = null;
  #server = "";
  #first = null;
  #queue = [];
  #timer = 0;
  #deadline = 0;
  #online = () => this.#run({ type: "online" });

  constructor(meetingId) {
    super();
    this.#meetingId = meetingId;
    window.addEventListener("online", this.#online);
  }

  get open() {
    return this.#machine.state === "live" && this.#socket?.readyState === WebSocket.OPEN;
  }

  /** Opens the socket and sends `first` (an INIT or JOIN without meeting_id) on it. */
  start(server, first) {
    this.#server = server;
    this.#first = first;
    this.#queue = [];
    this.#discard();
    this.#run({ type: "start" });
  }

  /** Sends a packet now, or after the session was resumed when the socket is interrupted. */
  send(contentType, fields = {}) {
    const packet = { meeting_id: this.#meetingId, content_type: contentType, ...fields };
    if (this.open) {
      this.#write(packet);
    } else if (this.#queue.length < QUEUE_MAX) {
      this.#queue.push(packet);
    }
  }

  /** Tells the machine that the node has let us in (the owner read MEETING_USERS). */
  joined({ session, windowMs } = {}) {
    this.#run({ type: "joined", session, windowMs });
  }

  /** The node asks somebody whether we may enter: the answer may take long. */
  admissionPending() {
    clearTimeout(this.#deadline);
  }

  /** Closes for good. */
  close() {
    this.#run({ type: "closed" });
    window.removeEventListener("online", this.#online);
    clearTimeout(this.#timer);
    this.#discard();
  }

  /** Drops the socket as a broken network would. */
  drop() {
    this.#discard();
    this.#run({ type: "lost" });
  }

  #run(event) {
    for (const action of this.#machine.on(event, performance.now())) this.#carryOut(action);
  }

  #carryOut(action) {
    switch (action.do) {
      case "open": return this.#connect();
      case "enter": return this.#write({ meeting_id: this.#meetingId, ...this.#first });
      case "resume": return this.#write({
        meeting_id: this.#meetingId, content_type: "RESUME", session: action.session,
      });
      case "wait":
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#run({ type: "timer" }), action.ms);
        return undefined;
      case "live": return this.#live(action.resumed);
      case "rejoin":
        this.#discard();
        return this.emit("rejoin");
      default: return this.emit(action.do);
    }
  }

  #live(resumed) {
    clearTimeout(this.#deadline);
    const waiting = this.#queue.splice(0);
    if (resumed) waiting.forEach((packet) => this.#write(packet));
    this.emit("live", { resumed });
  }

  #connect() {
    this.#discard();
    let socket;
    try {
      socket = new WebSocket(this.#server, SUBPROTOCOL);
    } catch (error) {
      console.error("WebSocket", error);
      queueMicrotask(() => this.#run({ type: "lost" }));
      return;
    }
    this.#socket = socket;
    const mine = (action) => (event) => { if (this.#socket === socket) action(event); };
    const lost = mine(() => { this.#discard(); this.#run({ type: "lost" }); });
    socket.addEventListener("open", mine(() => this.#run({ type: "opened" })));
    socket.addEventListener("message", mine((event) => this.#receive(event.data)));
    socket.addEventListener("close", mine((event) => {
      const reason = finalReason(event.reason);
      if (reason) this.emit("closed", reason);
      else lost();
    }));
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(lost, ATTEMPT_MS);
  }

  #receive(data) {
    let packet;
    try {
      packet = JSON.parse(data);
    } catch {
      return;
    }
    if (packet === null || typeof packet !== "object") return;
    this.#trace("in", packet);
    const refused = this.#machine.state === "resuming"
      && (packet.content_type === "ERROR" || packet.content_type === "JOIN_DENIED");
    if (refused) this.#run({ type: "refused" });
    else this.emit("packet", packet);
  }

  #write(packet) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#trace("out", packet);
    this.#socket.send(JSON.stringify(packet));
  }

  #trace(direction, packet) {
    const shown = Object.fromEntries(Object.entries(packet)
      .map(([key, value]) => [key, MASKED.has(key) ? "…" : value]));
    this.emit("trace", { direction, packet: shown });
  }

  #discard() {
    clearTimeout(this.#deadline);
    const socket = this.#socket;
    this.#socket = null;
    if (socket && socket.readyState <= WebSocket.OPEN) socket.close(1000);
  }
}
