// How the desk turns a decoded picture into pixels: Pillow's conversion and its resizing, in the same integers.

const FRACTION_BITS = 22; // of a filter's weights: Pillow's 32 - 8 - 2
const HALF = 2 ** (FRACTION_BITS - 1);

/** Pixels of an image: rows of `channels` bytes. */
export class Pixels {
  constructor(data, width, height, channels) {
    Object.assign(this, { data, width, height, channels });
  }
}

/** Pixels of RGBA data, in 1, 3 or 4 channels; without an alpha channel transparent ones lie on the background. */
export function convert({ data, width, height }, channels, background) {
  const count = width * height;
  if (channels === 4) return new Pixels(Uint8Array.from(data), width, height, 4);
  const out = new Uint8Array(count * channels);
  for (let i = 0; i < count; i++) {
    const alpha = data[4 * i + 3];
    const over = (c) => divideBy255(data[4 * i + c] * alpha + background[c] * (255 - alpha));
    const [r, g, b] = alpha === 255 ? [data[4 * i], data[4 * i + 1], data[4 * i + 2]] : [over(0), over(1), over(2)];
    if (channels === 1) out[i] = grey(r, g, b);
    else out.set([r, g, b], 3 * i);
  }
  return new Pixels(out, width, height, channels);
}

/** Pixels in another number of channels: an opaque image gets an alpha channel of 255. */
export function withChannels(image, channels) {
  if (image.channels === channels) return image;
  const { data, width, height } = image;
  const out = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    const at = i * image.channels;
    const [r, g, b] = image.channels === 1 ? [data[at], data[at], data[at]] : [data[at], data[at + 1], data[at + 2]];
    if (channels === 1) out[i] = grey(r, g, b);
    else out.set(channels === 3 ? [r, g, b] : [r, g, b, image.channels === 4 ? data[at + 3] : 255], i * channels);
  }
  return new Pixels(out, width, height, channels);
}

/** An image in a size; one of another aspect ratio is squashed, cut to its centre, or padded. */
export function fit(image, width, height, mode, padding) {
  if (image.width === width && image.height === height) return image;
  if (mode === "crop") return resize(image, width, height, centre(image, width, height));
  if (mode !== "pad") return resize(image, width, height);
  const [innerWidth, innerHeight] = contained(image, width, height);
  const inner = resize(image, Math.max(innerWidth, 1), Math.max(innerHeight, 1));
  return pad(inner, width, height, padding);
}

/** Resize with Pillow's bilinear filter, which is widened to antialias; `box` is the part to take. */
export function resize(image, width, height, box = [0, 0, image.width, image.height]) {
  const edges = box.map(Math.fround);
  if (image.width === width && image.height === height && edges.every((edge, i) => edge === [0, 0, width, height][i]))
    return image;
  const source = image.channels === 4 ? premultiplied(image) : image;
  const across = filter(image.width, edges[0], edges[2], width);
  const down = filter(image.height, edges[1], edges[3], height);
  const passes = [
    needed(image.width, width, edges[0], edges[2]) && ((one) => resizeRows(one, across, width)),
    needed(image.height, height, edges[1], edges[3]) && ((one) => resizeColumns(one, down, height)),
  ];
  // Pillow 13 begins with the height where it shrinks by more than twice as many pixels; rounding shows the order
  const shrunk = image.height - height;
  if (shrunk > 0 && shrunk > 2 * (image.width - width)) passes.reverse();
  const done = passes.reduce((one, pass) => (pass ? pass(one) : one), source);
  return image.channels === 4 ? unpremultiplied(done) : done;
}

function needed(size, wanted, from, to) {
  return size !== wanted || from !== 0 || to !== wanted;
}

/** For each pixel of the result its first source pixel and the weights from there on. */
function filter(size, from, to, wanted) {
  const scale = Math.fround(to - from) / wanted;
  const support = Math.max(scale, 1);
  return Array.from({ length: wanted }, (_, i) => {
    const middle = from + (i + 0.5) * scale;
    const first = Math.max(Math.trunc(middle - support + 0.5), 0);
    const end = Math.min(Math.trunc(middle + support + 0.5), size);
    const weights = [];
    for (let x = first; x < end; x++) weights.push(Math.max(1 - Math.abs((x - middle + 0.5) * (1 / support)), 0));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => Math.trunc(0.5 + (weight / total) * 2 ** FRACTION_BITS)) };
  });
}

function resizeRows({ data, width, height, channels }, taps, wanted) {
  const out = new Uint8Array(wanted * height * channels);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < wanted; x++)
      for (let c = 0; c < channels; c++) {
        const start = (y * width + taps[x].first) * channels + c;
        out[(y * wanted + x) * channels + c] = weighted(data, start, channels, taps[x].weights);
      }
  return new Pixels(out, wanted, height, channels);
}

function resizeColumns({ data, width, channels }, taps, wanted) {
  const out = new Uint8Array(width * wanted * channels);
  const row = width * channels;
  for (let y = 0; y < wanted; y++)
    for (let i = 0; i < row; i++) out[y * row + i] = weighted(data, taps[y].first * row + i, row, taps[y].weights);
  return new Pixels(out, width, wanted, channels);
}

function weighted(data, start, step, weights) {
  let sum = HALF;
  for (let k = 0; k < weights.length; k++) sum += data[start + k * step] * weights[k];
  return Math.min(Math.floor(sum / 2 ** FRACTION_BITS), 255);
}

/** The part of an image's centre that has the wanted aspect ratio. */
function centre(image, width, height) {
  const ratio = width / height;
  const own = image.width / image.height;
  const [wide, high] =
    own === ratio
      ? [image.width, image.height]
      : own >= ratio
        ? [ratio * image.height, image.height]
        : [image.width, image.width / ratio];
  const [left, top] = [(image.width - wide) * 0.5, (image.height - high) * 0.5];
  return [left, top, left + wide, top + high];
}

function contained(image, width, height) {
  const own = image.width / image.height;
  if (own > width / height) return [width, roundHalfEven((image.height / image.width) * width)];
  if (own < width / height) return [roundHalfEven((image.width / image.height) * height), height];
  return [width, height];
}

function pad(inner, width, height, colour) {
  const { channels } = inner;
  const out = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) out.set(colour, i * channels);
  const left = Math.floor((width - inner.width) / 2);
  const top = Math.floor((height - inner.height) / 2);
  for (let y = 0; y < inner.height; y++) {
    const row = inner.data.subarray(y * inner.width * channels, (y + 1) * inner.width * channels);
    out.set(row, ((y + top) * width + left) * channels);
  }
  return new Pixels(out, width, height, channels);
}

/** A background colour in a number of channels. */
export function colourOf([r, g, b], channels) {
  if (channels === 1) return [grey(r, g, b)];
  return channels === 3 ? [r, g, b] : [r, g, b, 255];
}

/** ITU-R 601-2 luma, in Pillow's fixed point. */
export function grey(r, g, b) {
  return (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
}

function divideBy255(value) {
  const rounded = value + 128;
  return ((rounded >> 8) + rounded) >> 8;
}

function premultiplied(image) {
  const data = Uint8Array.from(image.data, (value, i) =>
    i % 4 === 3 ? value : divideBy255(value * image.data[i - (i % 4) + 3]),
  );
  return new Pixels(data, image.width, image.height, 4);
}

function unpremultiplied(image) {
  const data = Uint8Array.from(image.data, (value, i) => {
    const alpha = image.data[i - (i % 4) + 3];
    return i % 4 === 3 || alpha === 0 || alpha === 255 ? value : Math.min(Math.trunc((255 * value) / alpha), 255);
  });
  return new Pixels(data, image.width, image.height, 4);
}

function roundHalfEven(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}
