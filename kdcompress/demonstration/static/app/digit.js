// Digits as MNIST has them: the longer side is 20 of 28 pixels, and the centre of mass is the middle of the image.

import { Pixels, resize } from "./pixels.js";

const BOX = 20 / 28;
const PEN = 2.2 / 28; // of the pad's side, about as thick as MNIST's strokes

/** Ink (light on dark, one channel) as an image of `size` pixels a side; null if there is none. */
export function centred(ink, size) {
  const box = inked(ink);
  if (!box) return null;
  const side = Math.round(size * BOX);
  const factor = side / Math.max(box.width, box.height);
  const [width, height] = [box.width, box.height].map((length) => Math.max(1, Math.round(length * factor)));
  const small = resize(box, width, height);
  const [x, y] = centreOfMass(small);
  const out = new Pixels(new Uint8Array(size * size), size, size, 1);
  place(small, out, Math.round(size / 2 - x), Math.round(size / 2 - y));
  return out;
}

/** Light and dark exchanged. */
export function inverted(pixels) {
  return new Pixels(pixels.data.map((value) => 255 - value), pixels.width, pixels.height, pixels.channels);
}

function inked({ data, width, height }) {
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let i = 0; i < data.length; i++) {
    if (!data[i]) continue;
    const [x, y] = [i % width, Math.floor(i / width)];
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
  }
  if (right < left) return null;
  const [wide, high] = [right - left + 1, bottom - top + 1];
  const out = new Uint8Array(wide * high);
  for (let y = 0; y < high; y++) {
    const start = (top + y) * width + left;
    out.set(data.subarray(start, start + wide), y * wide);
  }
  return new Pixels(out, wide, high, 1);
}

/** The mean column and row by their numbers, of which MNIST's, rounded, are 14 of 0 to 27. */
function centreOfMass({ data, width }) {
  let [mass, x, y] = [0, 0, 0];
  for (let i = 0; i < data.length; i++) {
    mass += data[i];
    x += data[i] * (i % width);
    y += data[i] * Math.floor(i / width);
  }
  return mass ? [x / mass, y / mass] : [width / 2, data.length / width / 2];
}

function place(small, out, left, top) {
  for (let y = 0; y < small.height; y++)
    for (let x = 0; x < small.width; x++) {
      const [column, row] = [x + left, y + top];
      const inside = column >= 0 && row >= 0 && column < out.width && row < out.height;
      if (inside) out.data[row * out.width + column] = small.data[y * small.width + x];
    }
}

/** A pad to draw on with mouse, pen or finger; `onInk` is told of every change, and whether the stroke has ended. */
export class Pad {
  constructor(canvas, onInk) {
    Object.assign(this, { canvas, onInk });
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    Object.assign(this.context, { strokeStyle: "#fff", lineWidth: PEN * canvas.width, lineCap: "round", lineJoin: "round" });
    this.clear();
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.#end(event));
  }

  clear() {
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** The ink on the pad, light on dark. */
  ink() {
    const { width, height } = this.canvas;
    const { data } = this.context.getImageData(0, 0, width, height);
    return new Pixels(Uint8Array.from({ length: width * height }, (_, i) => data[4 * i]), width, height, 1);
  }

  #begin(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.last = this.#place(event);
    this.#line(this.last);
  }

  #move(event) {
    if (!this.last) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) this.#line(this.#place(one));
    this.onInk(false);
  }

  #end() {
    if (!this.last) return;
    this.last = null;
    this.onInk(true);
  }

  #line(to) {
    this.context.beginPath();
    this.context.moveTo(...this.last);
    this.context.lineTo(...to);
    this.context.stroke();
    this.last = to;
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.canvas.width,
      ((event.clientY - box.top) / box.height) * this.canvas.height,
    ];
  }
}
