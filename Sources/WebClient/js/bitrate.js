// Which bit rate to ask of the node for a tile. SPDX-License-Identifier: Apache-2.0

/** The camera's simulcast layers, lowest first: RID and most bit/s. */
export const CAMERA_LAYERS = Object.freeze([
  Object.freeze({ rid: "q", maxBitrate: 150_000 }),
  Object.freeze({ rid: "h", maxBitrate: 500_000 }),
  Object.freeze({ rid: "f", maxBitrate: 1_500_000 }),
]);
/** The least pixels of a captured picture for one, two and three layers. */
const LAYER_PIXELS = [0, 480 * 270, 960 * 540];

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

/**
 * Encodings of the camera for addTransceiver or setParameters. A small picture is sent in fewer:
 * encoders refuse the topmost of too many layers, and that would be the picture itself. So a
 * layer keeps its lines (about 180, 360, 720) whatever the camera gives.
 *
 * size  {width, height} of the captured picture in pixels; unknown counts as large
 */
export function cameraEncodings({ width, height } = {}) {
  const pixels = width && height ? width * height : Infinity;
  const active = LAYER_PIXELS.filter((least) => pixels >= least).length;
  return CAMERA_LAYERS.map(({ rid, maxBitrate }, index) => ({
    rid,
    maxBitrate,
    scaleResolutionDownBy: 2 ** Math.max(0, active - 1 - index),
    active: index < active,
  }));
}
