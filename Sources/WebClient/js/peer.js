// The one RTCPeerConnection to the node. The client always offers, the node always answers.
// SPDX-License-Identifier: Apache-2.0
//
// Emits: offer {sdp, sources}, slots (sections were added), state (connection state), failed.

import { cameraEncodings, SCREEN_BITRATE } from "./bitrate.js";
import { Emitter } from "./emitter.js";
import { audioCodecs, videoCodecs, withOpusOptions } from "./sdp.js";

/** An unanswered offer is sent again after this long, ms. */
const ANSWER_MS = 10_000;
/** A connection that stays interrupted this long gets an ICE restart, ms. */
const RESTART_MS = 3_000;
const RESTARTS_MAX = 3;

export class Peer extends Emitter {
  pc = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: [] });
  #senders = {};
  #receivers = { audio: [], video: [] };
  #slots;
  #busy = false;
  #again = false;
  #restart = false;
  #restarts = 0;
  #timer = 0;
  #restartTimer = 0;
  #started = false;

  /** slots: the SlotTable that new receiving sections are added to. */
  constructor(slots) {
    super();
    this.#slots = slots;
    this.pc.addEventListener("connectionstatechange", () => this.#onState());
    this.pc.addEventListener("iceconnectionstatechange", () => this.#onState());
  }

  /** Adds the sections of the microphone and the camera, with or without a track yet. */
  publish({ micTrack, cameraTrack }) {
    this.#senders.microphone = this.#addSender("audio", micTrack, undefined);
    this.#senders.camera = this.#addSender("video", cameraTrack,
      cameraEncodings(cameraTrack?.getSettings()));
  }

  #addSender(kind, track, sendEncodings) {
    const transceiver = this.pc.addTransceiver(track ?? kind, {
      direction: "sendonly", ...(sendEncodings ? { sendEncodings } : {}),
    });
    prefer(transceiver, kind);
    return transceiver;
  }

  /** Replaces what a source sends: a track, or null for nothing. No new offer is needed. */
  async replace(source, track) {
    const sender = this.#senders[source]?.sender;
    if (!sender || sender.track === track) return;
    await sender.replaceTrack(track);
    if (source === "camera" && track) await fitEncodings(sender, track);
  }

  /** Starts or stops the screen's section; a new offer follows. */
  async setScreen(track) {
    const known = this.#senders.screen;
    if (!known && !track) return;
    if (known) {
      await known.sender.replaceTrack(track);
      known.direction = track ? "sendonly" : "inactive";
    } else {
      this.#senders.screen = this.#addSender("video", track,
        [{ maxBitrate: SCREEN_BITRATE, scaleResolutionDownBy: 1 }]);
    }
    this.negotiate();
  }

  /** Makes sure of so many receiving sections; returns true when an offer was needed. */
  ensureSlots({ audio, video }) {
    const added = this.#grow("audio", audio) + this.#grow("video", video);
    if (added > 0 && this.#started) this.negotiate();
    return added > 0;
  }

  #grow(kind, count) {
    const list = this.#receivers[kind];
    const missing = Math.max(0, count - list.length);
    for (let index = 0; index < missing; index += 1) {
      const transceiver = this.pc.addTransceiver(kind, { direction: "recvonly" });
      prefer(transceiver, kind);
      list.push(transceiver);
    }
    return missing;
  }

  /** Makes an offer; one that is asked for while another is open follows it. */
  async negotiate() {
    this.#started = true;
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    try {
      const restart = this.#restart;
      this.#restart = false;
      const offer = await this.pc.createOffer(restart ? { iceRestart: true } : {});
      await this.pc.setLocalDescription(offer);
      this.#nameSlots();
      this.#sendOffer();
    } catch (error) {
      this.#busy = false;
      this.emit("failed", error);
    }
  }

  /** Sends an offer that is still unanswered once more (after the signalling came back). */
  repeatOffer() {
    if (this.pc.signalingState === "have-local-offer") this.#sendOffer();
  }

  #sendOffer() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.repeatOffer(), ANSWER_MS);
    this.emit("offer", { sdp: this.pc.localDescription.sdp, sources: this.#sources() });
  }

  #sources() {
    return Object.fromEntries(Object.entries(this.#senders)
      .filter(([, transceiver]) => transceiver.mid !== null)
      .map(([source, transceiver]) => [transceiver.mid, source]));
  }

  #nameSlots() {
    let added = false;
    for (const [kind, list] of Object.entries(this.#receivers)) {
      for (const transceiver of list) {
        if (transceiver.mid === null) continue;
        this.#slots.add(transceiver.mid, kind, transceiver.receiver.track);
        added = true;
      }
    }
    if (added) this.emit("slots");
  }

  /** Takes the node's answer. */
  async answer(sdp) {
    if (this.pc.signalingState !== "have-local-offer") return;
    clearTimeout(this.#timer);
    try {
      await this.pc.setRemoteDescription({ type: "answer", sdp: withOpusOptions(sdp) });
    } catch (error) {
      this.emit("failed", error);
      return;
    } finally {
      this.#busy = false;
    }
    if (this.#again) {
      this.#again = false;
      this.negotiate();
    }
  }

  /** Looks for a new way to the node, as after a change of network. */
  restartIce() {
    this.#restart = true;
    this.negotiate();
  }

  #onState() {
    const state = this.pc.connectionState;
    this.emit("state", state);
    clearTimeout(this.#restartTimer);
    if (state === "connected") this.#restarts = 0;
    if (state !== "disconnected" && state !== "failed") return;
    this.#restartTimer = setTimeout(() => {
      this.#restarts += 1;
      if (this.#restarts > RESTARTS_MAX) this.emit("failed", new Error("no way to the node"));
      else this.restartIce();
    }, state === "failed" ? 0 : RESTART_MS);
  }

  /** The source of a sending section: microphone, camera, screen or undefined. */
  sourceOf(mid) {
    return Object.keys(this.#senders).find((source) => this.#senders[source].mid === mid);
  }

  close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#restartTimer);
    this.pc.close();
  }
}

/** Brings the camera's encodings in line with the size of its new track. */
async function fitEncodings(sender, track) {
  const wanted = new Map(cameraEncodings(track.getSettings()).map((entry) => [entry.rid, entry]));
  const parameters = sender.getParameters();
  for (const encoding of parameters.encodings ?? []) {
    const { scaleResolutionDownBy, active } = wanted.get(encoding.rid) ?? encoding;
    Object.assign(encoding, { scaleResolutionDownBy, active });
  }
  try {
    await sender.setParameters(parameters);
  } catch (error) {
    console.info("encodings", error);
  }
}

function prefer(transceiver, kind) {
  const available = RTCRtpReceiver.getCapabilities?.(kind)?.codecs ?? [];
  const wanted = kind === "video" ? videoCodecs(available) : audioCodecs(available);
  if (wanted.length === 0 || !transceiver.setCodecPreferences) return;
  try {
    transceiver.setCodecPreferences(wanted);
  } catch (error) {
    console.info("codec preferences", error);
  }
}
