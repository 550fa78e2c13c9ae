// The person's own camera, microphone and screen. SPDX-License-Identifier: Apache-2.0
//
// Emits: change (a track, a device or an error changed), screen-ended, level (0..1 of the
// microphone, some 15 times a second while somebody listens).

import { Emitter } from "./emitter.js";
import { preferences } from "./store.js";

const QUALITIES = {
  high: { width: 1280, height: 720, frameRate: 30 },
  standard: { width: 640, height: 360, frameRate: 30 },
  low: { width: 320, height: 180, frameRate: 15 },
};
const LEVEL_EVERY_MS = 66;

function insecure() {
  const error = new Error("Cameras need a secure page");
  error.name = "InsecureContext";
  return error;
}

function ideal(object) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, { ideal: value }]));
}

export class LocalMedia extends Emitter {
  micTrack = null;
  cameraTrack = null;
  screenTrack = null;
  micOn = true;
  cameraOn = true;
  micError = null;
  cameraError = null;
  devices = { audioinput: [], videoinput: [] };
  #meter = null;
  #closed = false;

  constructor() {
    super();
    const wishes = preferences.get();
    this.micOn = wishes.micOn;
    this.cameraOn = wishes.cameraOn;
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.#refreshDevices());
  }

  /** Opens what the person wants on. Never throws: failures are in micError and cameraError. */
  async open() {
    if (this.micOn && this.cameraOn && !this.micTrack && !this.cameraTrack) await this.#openBoth();
    await Promise.all([
      this.micTrack ? null : this.#openMic(),
      this.cameraOn && !this.cameraTrack ? this.#openCamera() : null,
    ]);
    await this.#refreshDevices();
  }

  /** One question to the person instead of two; on any failure each is tried by itself. */
  async #openBoth() {
    try {
      const stream = await this.#ask({ audio: this.#audioWish(), video: this.#videoWish() });
      this.#takeMic(stream.getAudioTracks()[0]);
      this.#takeCamera(stream.getVideoTracks()[0]);
    } catch {
      this.micTrack = null;
      this.cameraTrack = null;
    }
  }

  async #openMic() {
    try {
      const stream = await this.#ask({ audio: this.#audioWish() });
      this.#takeMic(stream.getAudioTracks()[0]);
    } catch (error) {
      this.micError = error;
      this.micOn = false;
      this.emit("change");
    }
  }

  async #openCamera() {
    try {
      const stream = await this.#ask({ video: this.#videoWish() });
      if (this.cameraOn) this.#takeCamera(stream.getVideoTracks()[0]);
      else stream.getTracks().forEach((track) => track.stop());
    } catch (error) {
      this.cameraError = error;
      this.cameraOn = false;
      this.emit("change");
    }
  }

  async #ask(constraints) {
    if (!navigator.mediaDevices?.getUserMedia) throw insecure();
    const stream = await navigator.mediaDevices.getUserMedia(constraints);
    if (!this.#closed) return stream;
    stream.getTracks().forEach((track) => track.stop());
    throw new DOMException("closed meanwhile", "AbortError");
  }

  #audioWish() {
    const { micId } = preferences.get();
    return {
      ...ideal({ echoCancellation: true, noiseSuppression: true, autoGainControl: true }),
      ...(micId ? { deviceId: { ideal: micId } } : {}),
    };
  }

  #videoWish() {
    const { cameraId, quality } = preferences.get();
    return {
      ...ideal(QUALITIES[quality] ?? QUALITIES.high),
      ...(cameraId ? { deviceId: { ideal: cameraId } } : {}),
    };
  }

  #takeMic(track) {
    this.micTrack?.stop();
    this.micTrack = track;
    this.micError = null;
    track.enabled = this.micOn;
    track.addEventListener("ended", () => this.#lost("micTrack"));
    this.#startMeter();
    this.emit("change");
  }

  #takeCamera(track) {
    this.cameraTrack?.stop();
    this.cameraTrack = track;
    this.cameraError = null;
    track.contentHint = "motion";
    track.addEventListener("ended", () => this.#lost("cameraTrack"));
    this.emit("change");
  }

  /** A device was unplugged or taken away by the browser. */
  #lost(which) {
    this[which] = null;
    if (which === "cameraTrack") this.cameraOn = false;
    else this.micOn = false;
    this.emit("change");
    this.#refreshDevices();
  }

  /** Mutes by silence: the track stays, so that speaking again is instant. */
  async setMic(on) {
    this.micOn = on;
    preferences.set({ micOn: on });
    if (on && !this.micTrack) await this.#openMic();
    if (this.micTrack) this.micTrack.enabled = this.micOn;
    this.emit("change");
  }

  /** Off gives the camera back, so that its light goes out. */
  async setCamera(on) {
    this.cameraOn = on;
    preferences.set({ cameraOn: on });
    if (on && !this.cameraTrack) {
      await this.#openCamera();
    } else if (!on) {
      this.cameraTrack?.stop();
      this.cameraTrack = null;
    }
    this.emit("change");
  }

  async chooseMic(deviceId) {
    preferences.set({ micId: deviceId });
    this.micTrack?.stop();
    this.micTrack = null;
    this.micOn = true;
    await this.#openMic();
  }

  async chooseCamera(deviceId) {
    preferences.set({ cameraId: deviceId });
    await this.#reopenCamera();
  }

  async chooseQuality(quality) {
    preferences.set({ quality });
    if (this.cameraOn) await this.#reopenCamera();
  }

  async #reopenCamera() {
    this.cameraTrack?.stop();
    this.cameraTrack = null;
    this.cameraOn = true;
    await this.#openCamera();
  }

  get canShare() {
    return typeof navigator.mediaDevices?.getDisplayMedia === "function";
  }

  /** Asks for a screen. Throws what getDisplayMedia throws; NotAllowedError is a changed mind. */
  async openScreen() {
    const stream = await navigator.mediaDevices.getDisplayMedia({
      video: { ...ideal({ frameRate: 15 }), width: { max: 2560 }, height: { max: 1440 } },
      audio: false,
    });
    const [track] = stream.getVideoTracks();
    track.contentHint = "detail";
    track.addEventListener("ended", () => {
      if (this.screenTrack !== track) return;
      this.screenTrack = null;
      this.emit("screen-ended");
    });
    this.screenTrack = track;
    return track;
  }

  closeScreen() {
    const track = this.screenTrack;
    this.screenTrack = null;
    track?.stop();
  }

  /** Gives every device back, for good. */
  close() {
    this.#closed = true;
    this.#stopMeter();
    for (const track of [this.micTrack, this.cameraTrack, this.screenTrack]) track?.stop();
    this.micTrack = null;
    this.cameraTrack = null;
    this.screenTrack = null;
  }

  async #refreshDevices() {
    if (!navigator.mediaDevices?.enumerateDevices) return;
    const all = await navigator.mediaDevices.enumerateDevices().catch(() => []);
    const of = (kind) => all.filter((device) => device.kind === kind && device.deviceId !== "");
    this.devices = { audioinput: of("audioinput"), videoinput: of("videoinput") };
    this.emit("change");
  }

  #startMeter() {
    this.#stopMeter();
    const Context = window.AudioContext;
    if (!Context || !this.micTrack) return;
    const context = new Context();
    const analyser = context.createAnalyser();
    analyser.fftSize = 512;
    context.createMediaStreamSource(new MediaStream([this.micTrack])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const timer = setInterval(() => {
      if (context.state === "suspended") context.resume().catch(() => {});
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
      const decibels = 10 * Math.log10(power + 1e-10);
      this.emit("level", Math.min(1, Math.max(0, (decibels + 60) / 50)));
    }, LEVEL_EVERY_MS);
    this.#meter = { context, timer };
  }

  #stopMeter() {
    if (!this.#meter) return;
    clearInterval(this.#meter.timer);
    this.#meter.context.close().catch(() => {});
    this.#meter = null;
  }
}
