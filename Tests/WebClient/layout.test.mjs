// Tests of where the tiles go.
// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import test from "node:test";
import {
  bestGrid, pageCapacity, paginate, placeGrid, placeRest, placeStage, TILES_MAX,
} from "../../Sources/WebClient/js/layout.js";

const BOXES = [
  { width: 1252, height: 672 }, { width: 374, height: 660 }, { width: 816, height: 320 },
  { width: 2500, height: 1300 }, { width: 1000, height: 1000 }, { width: 300, height: 120 },
];

function overlap(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function assertSound(places, box, label) {
  places.forEach((place, index) => {
    assert.ok(place.x >= 0 && place.y >= 0, `${label}: starts inside`);
    assert.ok(place.x + place.width <= box.width + 0.5, `${label}: ends inside (width)`);
    assert.ok(place.y + place.height <= box.height + 0.5, `${label}: ends inside (height)`);
    for (const other of places.slice(index + 1)) {
      assert.ok(!overlap(place, other), `${label}: tiles lie apart`);
    }
  });
}

test("every number of tiles from 1 to 49 fits every box without overlap", () => {
  for (const box of BOXES) {
    for (let count = 1; count <= TILES_MAX; count += 1) {
      const places = placeGrid(count, box);
      assert.equal(places.length, count);
      assertSound(places, box, `${count} in ${box.width}×${box.height}`);
    }
  }
});

test("tiles keep an allowed shape", () => {
  for (const box of BOXES) {
    for (let count = 1; count <= TILES_MAX; count += 1) {
      const { tileWidth, tileHeight } = bestGrid(count, box, { minAspect: 4 / 3 });
      if (tileHeight < 20) continue;
      const aspect = tileWidth / tileHeight;
      assert.ok(aspect > 1.2 && aspect < 1.95, `${count}: ${aspect}`);
    }
  }
});

test("more tiles are never larger tiles", () => {
  for (const box of BOXES) {
    let last = Infinity;
    for (let count = 1; count <= TILES_MAX; count += 1) {
      const { tileWidth, tileHeight } = bestGrid(count, box);
      const area = tileWidth * tileHeight;
      assert.ok(area <= last * 1.03, `${count} in ${box.width}×${box.height}`);
      last = Math.min(last, area);
    }
  }
});

test("familiar cases look as people expect", () => {
  assert.equal(bestGrid(2, { width: 1252, height: 672 }).columns, 2);
  assert.equal(bestGrid(2, { width: 374, height: 660 }).columns, 1);
  assert.equal(bestGrid(4, { width: 1252, height: 672 }).columns, 2);
  assert.equal(bestGrid(9, { width: 1252, height: 672 }).columns, 3);
});

test("a page holds no tile narrower than the least width", () => {
  for (const box of BOXES) {
    const capacity = pageCapacity(box, { minTileWidth: 132 });
    assert.ok(capacity >= 1 && capacity <= TILES_MAX);
    if (capacity > 1) assert.ok(bestGrid(capacity, box).tileWidth >= 132);
  }
  assert.equal(pageCapacity({ width: 2500, height: 1300 }), TILES_MAX);
});

test("pages cover everybody once and a page too far is the last", () => {
  const seen = [];
  const { pages } = paginate(60, 25, 0);
  assert.equal(pages, 3);
  for (let page = 0; page < pages; page += 1) {
    const { start, end } = paginate(60, 25, page);
    for (let index = start; index < end; index += 1) seen.push(index);
  }
  assert.deepEqual(seen, Array.from({ length: 60 }, (_, index) => index));
  assert.deepEqual(paginate(60, 25, 9), { pages: 3, page: 2, start: 50, end: 60 });
  assert.deepEqual(paginate(0, 25, 4), { pages: 1, page: 0, start: 0, end: 0 });
});

test("the stage and the other tiles lie apart and inside", () => {
  for (const box of BOXES.slice(0, 5)) {
    for (const count of [1, 3, 8, 48]) {
      const layout = placeStage(box, count);
      const shown = Math.min(count, layout.capacity);
      const rest = placeRest(shown, layout);
      assert.equal(rest.length, shown);
      assertSound([layout.stage, ...rest], box, `stage + ${shown} in ${box.width}×${box.height}`);
      const stageArea = layout.stage.width * layout.stage.height;
      assert.ok(rest.every((place) => place.width * place.height < stageArea));
    }
  }
});

test("a stage alone takes everything", () => {
  const { stage, rest } = placeStage({ width: 800, height: 600 }, 0);
  assert.deepEqual(stage, { x: 0, y: 0, width: 800, height: 600 });
  assert.equal(rest, null);
});
