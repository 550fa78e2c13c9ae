// The mark and the picture of a roundhouse: tracks that meet at a turntable.
// SPDX-License-Identifier: Apache-2.0

import { svg } from "./dom.js";

const TURN = Math.PI * 2;

function point(centre, radius, angle) {
  return {
    x: centre + radius * Math.cos(angle),
    y: centre + radius * Math.sin(angle),
  };
}

function line(centre, from, to, angle, attributes) {
  const a = point(centre, from, angle);
  const b = point(centre, to, angle);
  const f = (value) => value.toFixed(2);
  return svg("line", { x1: f(a.x), y1: f(a.y), x2: f(b.x), y2: f(b.y), ...attributes });
}

/** The mark, square. */
export function mark(size = 28) {
  const rays = Array.from({ length: 8 }, (_, index) => line(16, 10.2, 14.2,
    (index + 0.5) / 8 * TURN, { class: index === 7 ? "mark-lit" : "mark-ray" }));
  return svg("svg", {
    class: "mark", viewBox: "0 0 32 32", width: size, height: size, "aria-hidden": "true",
    focusable: "false",
  }, rays, svg("circle", { class: "mark-ring", cx: 16, cy: 16, r: 7 }),
  line(16, 7, -7, 7.5 / 8 * TURN, { class: "mark-lit" }));
}

const STALLS = 22;
const LIT = new Map([[3, 0.9], [8, 0.55], [13, 1], [18, 0.7]]);

/** The large picture: a half circle of stalls, a few of them lit, and the turntable. */
export function roundhouse() {
  const centre = 400;
  const stalls = [];
  for (let index = 0; index < STALLS; index += 1) {
    const angle = Math.PI + (index + 0.5) / STALLS * Math.PI;
    const half = Math.PI / STALLS / 2 * 0.82;
    const lit = LIT.get(index);
    stalls.push(stall(centre, angle, half, lit));
    for (const side of [-0.012, 0.012]) {
      stalls.push(line(centre, 128, 246, angle + side * 1.4, {
        class: lit ? "art-rail art-rail-lit" : "art-rail",
      }));
    }
  }
  const bridge = Math.PI + 13.5 / STALLS * Math.PI;
  return svg("svg", {
    class: "art", viewBox: "0 0 800 440", "aria-hidden": "true", focusable: "false",
    preserveAspectRatio: "xMidYMax meet",
  },
  stalls,
  svg("circle", { class: "art-pit", cx: centre, cy: centre, r: 118 }),
  svg("circle", { class: "art-table", cx: centre, cy: centre, r: 104 }),
  [-7, 7].map((offset) => bridgeRail(centre, bridge, offset)),
  svg("circle", { class: "art-hub", cx: centre, cy: centre, r: 13 }));
}

function stall(centre, angle, half, lit) {
  const corners = [
    point(centre, 250, angle - half), point(centre, 384, angle - half),
    point(centre, 384, angle + half), point(centre, 250, angle + half),
  ].map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`);
  return svg("path", {
    class: lit ? "art-stall art-stall-lit" : "art-stall", d: `M${corners.join("L")}Z`,
    ...(lit ? { "fill-opacity": lit } : {}),
  });
}

function bridgeRail(centre, angle, offset) {
  const shift = { x: -Math.sin(angle) * offset, y: Math.cos(angle) * offset };
  const a = point(centre, 104, angle);
  const b = point(centre, -104, angle);
  return svg("line", {
    class: "art-bridge", x1: (a.x + shift.x).toFixed(1), y1: (a.y + shift.y).toFixed(1),
    x2: (b.x + shift.x).toFixed(1), y2: (b.y + shift.y).toFixed(1),
  });
}
