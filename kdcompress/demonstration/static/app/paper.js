// A digit on paper in a camera's picture: what is darker than the paper around it.

import { Pixels, convert, resize } from "./pixels.js";

const SIDE = 160; // pixels to which the middle of the picture is reduced
const AROUND = 24; // pixels on each side whose mean is the paper's brightness
const LEAST = 28; // by which ink is darker, of 255
const SMALL = 0.15; // of the largest piece of ink: what is smaller is dirt

/** The ink in the middle of a picture, light on dark; null if there is none. */
export function inkOnPaper(picture) {
  const grey = convert(picture, 1, [255, 255, 255]);
  const side = Math.min(grey.width, grey.height);
  const [left, top] = [(grey.width - side) / 2, (grey.height - side) / 2];
  const small = resize(grey, SIDE, SIDE, [left, top, left + side, top + side]);
  const paper = blurred(small.data);
  const darker = Float32Array.from(small.data, (value, i) => Math.max(paper[i] - value, 0));
  const darkest = darker.reduce((most, value) => Math.max(most, value), 0);
  if (darkest < LEAST) return null;
  const threshold = Math.max(0.4 * darkest, LEAST);
  const kept = pieces(darker.map((value) => (value >= threshold ? 1 : 0)));
  const low = 0.5 * threshold;
  const ink = Uint8Array.from(darker, (value, i) =>
    kept[i] ? Math.min(255, Math.round((255 * (value - low)) / (0.8 * darkest - low))) : 0,
  );
  return kept.some(Boolean) ? new Pixels(ink, SIDE, SIDE, 1) : null;
}

/** The mean of the pixels around each one, by sums over the rectangle to its upper left. */
function blurred(data) {
  const sums = new Float64Array((SIDE + 1) * (SIDE + 1));
  const at = (x, y) => y * (SIDE + 1) + x;
  for (let y = 0; y < SIDE; y++)
    for (let x = 0; x < SIDE; x++)
      sums[at(x + 1, y + 1)] = data[y * SIDE + x] + sums[at(x, y + 1)] + sums[at(x + 1, y)] - sums[at(x, y)];
  return Float32Array.from(data, (_, i) => {
    const [x, y] = [i % SIDE, Math.floor(i / SIDE)];
    const [left, right] = [Math.max(x - AROUND, 0), Math.min(x + AROUND + 1, SIDE)];
    const [top, bottom] = [Math.max(y - AROUND, 0), Math.min(y + AROUND + 1, SIDE)];
    const sum = sums[at(right, bottom)] - sums[at(left, bottom)] - sums[at(right, top)] + sums[at(left, top)];
    return sum / ((right - left) * (bottom - top));
  });
}

/** Connected pieces that are large enough and do not reach the edge, as ones. */
function pieces(mask) {
  const found = [];
  const seen = new Uint8Array(mask.length);
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || seen[start]) continue;
    const piece = { members: [start], atEdge: false };
    seen[start] = 1;
    for (let k = 0; k < piece.members.length; k++) {
      const [x, y] = [piece.members[k] % SIDE, Math.floor(piece.members[k] / SIDE)];
      piece.atEdge ||= x === 0 || y === 0 || x === SIDE - 1 || y === SIDE - 1;
      for (const [dx, dy] of [[-1, 0], [1, 0], [0, -1], [0, 1], [-1, -1], [1, 1], [-1, 1], [1, -1]]) {
        const next = (y + dy) * SIDE + x + dx;
        const inside = x + dx >= 0 && x + dx < SIDE && y + dy >= 0 && y + dy < SIDE;
        if (!inside || !mask[next] || seen[next]) continue;
        seen[next] = 1;
        piece.members.push(next);
      }
    }
    if (!piece.atEdge) found.push(piece.members);
  }
  const largest = Math.max(0, ...found.map(({ length }) => length));
  const out = new Uint8Array(mask.length);
  for (const members of found) if (members.length >= SMALL * largest) for (const i of members) out[i] = 1;
  return out;
}
