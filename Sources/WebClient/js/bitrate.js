// Which bit rate to ask of the node for a tile. SPDX-License-Identifier: Apache-2.0

/** The camera's simulcast layers, lowest first: RID, down-scaling and most bit/s. */
export const CAMERA_LAYERS = Object.freeze([
  Object.freeze({ rid: "q", scale: 4, maxBitrate: 150_000 }),
  Object.freeze({ rid: "h", scale: 2, maxBitrate: 500_000 }),
  Object.freeze({ rid: "f", scale: 1, maxBitrate: 1_500_000 }),
]);

/** Most bit/s of a shared screen. */
export const SCREEN_BITRATE = 2_500_000;

const LAYER_LINES = [180, 360];
/** A picture may be enlarged this much before the next layer is asked for. */
const ENLARGE_MAX = 1.1;

/**
 * The bit/s to subscribe with.
 *
 * source         camera or screen
 * width, height  size of the tile in CSS pixels
 * ratio          device pixels a CSS pixel
 */
export function bitrateFor({ source, width, height, ratio = 1 }) {
  if (source === "screen") return SCREEN_BITRATE;
  const lines = Math.max(height, width * 9 / 16) * ratio;
  const step = LAYER_LINES.findIndex((limit) => lines <= limit * ENLARGE_MAX);
  return CAMERA_LAYERS[step < 0 ? CAMERA_LAYERS.length - 1 : step].maxBitrate;
}

/** Encodings of the camera for addTransceiver. */
export function cameraEncodings() {
  return CAMERA_LAYERS.map(({ rid, scale, maxBitrate }) => ({
    rid, maxBitrate, scaleResolutionDownBy: scale, active: true,
  }));
}
