// Where the tiles go: pure arithmetic, no DOM. SPDX-License-Identifier: Apache-2.0
//
// All lengths are CSS pixels. A tile may be any shape between `minAspect` and `maxAspect`
// (width / height); the picture inside is cropped to it.

/** Most tiles on one page: the requirements' 49 feeds. */
export const TILES_MAX = 49;

const DEFAULTS = {
  gap: 8, minAspect: 1, maxAspect: 16 / 9, minTileWidth: 132, maxTiles: TILES_MAX,
};

/** The largest rectangle of an allowed shape inside a cell. */
function fitInCell(width, height, options) {
  if (width <= 0 || height <= 0) return { width: 0, height: 0 };
  const aspect = Math.min(options.maxAspect, Math.max(options.minAspect, width / height));
  return width / height > aspect
    ? { width: height * aspect, height }
    : { width, height: width / aspect };
}

/**
 * The number of columns that gives `count` tiles the largest area.
 * Returns {columns, rows, tileWidth, tileHeight}; lengths are whole pixels.
 */
export function bestGrid(count, box, settings = {}) {
  const options = { ...DEFAULTS, ...settings };
  let best = { columns: 1, rows: Math.max(1, count), tileWidth: 0, tileHeight: 0 };
  let bestScore = -1;
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.max(1, Math.ceil(count / columns));
    const cell = fitInCell((box.width - options.gap * (columns - 1)) / columns,
      (box.height - options.gap * (rows - 1)) / rows, options);
    const empty = columns * rows - count;
    const score = cell.width * cell.height * (1 - 0.01 * empty / (columns * rows));
    if (score > bestScore) {
      bestScore = score;
      best = {
        columns, rows, tileWidth: Math.floor(cell.width), tileHeight: Math.floor(cell.height),
      };
    }
  }
  return best;
}

/** How many tiles fit on a page with none narrower than `minTileWidth`; at least 1. */
export function pageCapacity(box, settings = {}) {
  const options = { ...DEFAULTS, ...settings };
  let capacity = 1;
  for (let count = 2; count <= options.maxTiles; count += 1) {
    const grid = bestGrid(count, box, options);
    if (grid.tileWidth >= options.minTileWidth) capacity = count;
  }
  return capacity;
}

/**
 * Splits `count` tiles into pages of nearly equal size and clamps `page`.
 * Returns {pages, page, start, end}: the tiles start..<end are on the page.
 */
export function paginate(count, capacity, page) {
  const pages = Math.max(1, Math.ceil(count / Math.max(1, capacity)));
  const current = Math.min(Math.max(0, page), pages - 1);
  const start = Math.min(count, current * capacity);
  return { pages, page: current, start, end: Math.min(count, start + capacity) };
}

/**
 * Positions of `count` tiles, centred in the box, the last row centred too.
 * Returns [{x, y, width, height}] in the order of the tiles.
 */
export function placeGrid(count, box, settings = {}) {
  const options = { ...DEFAULTS, ...settings };
  if (count === 0) return [];
  const { columns, rows, tileWidth, tileHeight } = bestGrid(count, box, options);
  const totalHeight = rows * tileHeight + (rows - 1) * options.gap;
  const top = Math.max(0, Math.floor((box.height - totalHeight) / 2));
  return Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / columns);
    const inRow = Math.min(columns, count - row * columns);
    const rowWidth = inRow * tileWidth + (inRow - 1) * options.gap;
    const left = Math.max(0, Math.floor((box.width - rowWidth) / 2));
    return {
      x: left + (index % columns) * (tileWidth + options.gap),
      y: top + row * (tileHeight + options.gap),
      width: tileWidth,
      height: tileHeight,
    };
  });
}

/**
 * A stage with the other tiles beside it (wide boxes), below it in a row (nearly square ones) or
 * below it in a grid (tall ones).
 * Returns {stage, rest, form: side | row | grid | alone, capacity}: two rectangles and how many
 * of the other tiles fit.
 */
export function placeStage(box, count, settings = {}) {
  const options = { ...DEFAULTS, ...settings };
  const whole = { x: 0, y: 0, width: box.width, height: box.height };
  if (count === 0) return { stage: whole, rest: null, form: "alone", capacity: 0 };
  const form = stageForm(box);
  const share = SHARES[form](box, count);
  const { gap } = options;
  const rest = form === "side"
    ? { x: box.width - share, y: 0, width: share, height: box.height }
    : { x: 0, y: box.height - share, width: box.width, height: share };
  const stage = form === "side"
    ? { ...whole, width: Math.max(0, rest.x - gap) }
    : { ...whole, height: Math.max(0, rest.y - gap) };
  return { stage, rest, form, capacity: restCapacity(rest, form, options) };
}

function stageForm(box) {
  if (box.width >= box.height * 1.15) return "side";
  return box.height >= box.width * 1.25 ? "grid" : "row";
}

const clamp = (least, value, most) => Math.round(Math.min(most, Math.max(least, value)));

/** What the tiles beside or below the stage get of its breadth. */
const SHARES = {
  side: (box) => clamp(120, box.width * 0.18, 260),
  row: (box) => clamp(84, box.height * 0.18, 150),
  grid: (box, count) => clamp(box.height * 0.25, Math.ceil(count / 2) * box.width * 0.4,
    Math.max(box.height * 0.35, box.height - box.width * 0.75)),
};

function restCapacity(rest, form, options) {
  if (form === "grid") return pageCapacity(rest, options);
  const tile = stripTile(rest, form);
  const [along, length] = form === "side" ? [rest.height, tile.height] : [rest.width, tile.width];
  return Math.max(1, Math.floor((along + options.gap) / (length + options.gap)));
}

function stripTile(rest, form) {
  return form === "side"
    ? { width: rest.width, height: Math.round(rest.width * 9 / 16) }
    : { width: Math.round(rest.height * 4 / 3), height: rest.height };
}

/** Positions of `count` tiles in the rest of placeStage. */
export function placeRest(count, { rest, form }, settings = {}) {
  const options = { ...DEFAULTS, ...settings };
  if (form === "grid") {
    return placeGrid(count, rest, options)
      .map((place) => ({ ...place, x: place.x + rest.x, y: place.y + rest.y }));
  }
  const tile = stripTile(rest, form);
  const { gap } = options;
  const [along, length] = form === "side" ? [rest.height, tile.height] : [rest.width, tile.width];
  const start = Math.max(0, Math.floor((along - (count * (length + gap) - gap)) / 2));
  return Array.from({ length: count }, (_, index) => {
    const offset = start + index * (length + gap);
    return form === "side"
      ? { x: rest.x, y: rest.y + offset, ...tile }
      : { x: rest.x + offset, y: rest.y, ...tile };
  });
}
