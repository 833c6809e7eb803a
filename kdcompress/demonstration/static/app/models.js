// The models of the page: their sessions, the input that pixels become, and the logits that outputs become.

import { colourOf, convert, fit, withChannels } from "./pixels.js";

const ARRAYS = { float32: Float32Array, float64: Float64Array, uint8: Uint8Array };

export class Model {
  constructor(ort, session, facts) {
    Object.assign(this, { ort, session, facts });
    [this.inputName] = session.inputNames;
    [this.outputName] = session.outputNames;
    this.type = session.inputMetadata[0].type;
    if (!(this.type in ARRAYS)) throw new Error(`the ${facts.role} takes images of ${this.type}`);
  }

  /** Load a model and what it keeps beside its file. */
  static async load(ort, facts) {
    const beside = Object.entries(facts.beside).map(async ([path, url]) => ({ path, data: await bytesOf(url) }));
    const session = await ort.InferenceSession.create(await bytesOf(facts.file), {
      executionProviders: ["wasm"],
      logSeverityLevel: 3,
      externalData: await Promise.all(beside),
    });
    return new Model(ort, session, facts);
  }

  /** The model's input of pixels. */
  input(pixels) {
    const { width, height, channels } = pixels;
    const data = prepared(pixels, this.facts.input, ARRAYS[this.type]);
    const shape = this.facts.input.nchw ? [1, channels, height, width] : [1, height, width, channels];
    return new this.ort.Tensor(this.type, data, shape);
  }

  /** Run the model on its input. */
  async run(input) {
    const outputs = await this.session.run({ [this.inputName]: input });
    return outputs[this.outputName].data;
  }

  /** The logits of the classes for pixels. */
  async logits(pixels) {
    return toLogits(Array.from(await this.run(this.input(pixels)), Number), this.facts.outputs);
  }
}

/** The bytes of a file of the page. */
export async function bytesOf(url, options = {}) {
  const answer = await fetch(url, options);
  if (!answer.ok) throw new Error(`${url} is not there (${answer.status})`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** A picture as a model's pixels, as the desk prepares an image file: `picture` is RGBA data. */
export function pixelsOfPicture(picture, image, data) {
  const first = image.direct ? image : data;
  const converted = convert(picture, first.channels, data.background);
  const fitted = fit(converted, first.width, first.height, first.resize, colourOf(data.background, first.channels));
  return image.direct ? fitted : pixelsOfPixels(fitted, image);
}

/** Pixels of the data's size as a model's pixels; pads are black. */
export function pixelsOfPixels(pixels, image) {
  const converted = withChannels(pixels, image.channels);
  return fit(converted, image.width, image.height, image.resize, colourOf([0, 0, 0], image.channels));
}

/** (pixel * scale - mean) / std in float32, in the model's order of channels and axes. */
function prepared({ data, width, height, channels }, { scale, mean, std, bgr, nchw }, ArrayType) {
  const out = new ArrayType(data.length);
  const factor = Math.fround(scale ?? 1);
  const [means, stds] = [mean, std].map((values) => values?.map(Math.fround));
  for (let i = 0; i < width * height; i++)
    for (let c = 0; c < channels; c++) {
      let value = data[i * channels + (bgr ? channels - 1 - c : c)];
      if (scale !== undefined) value = Math.fround(Math.fround(Math.fround(value * factor) - means[c]) / stds[c]);
      out[nchw ? c * width * height + i : i * channels + c] = value;
    }
  return out;
}

/** Outputs as logits of the classes: probabilities become logarithms, subclasses their class. */
export function toLogits(outputs, { kind, percent, floor, gap, single, columns, subclasses }) {
  let logits = outputs;
  if (kind !== undefined) {
    const p = outputs.map((value) => Math.fround(value / (percent ? 100 : 1)));
    logits = p.map((value) => Math.fround(Math.log(Math.max(value, Math.fround(floor)))));
    if (kind === "sigmoids")
      logits = logits.map((value, i) => Math.fround(value - Math.log(Math.max(1 - p[i], Math.fround(gap)))));
  }
  if (single) logits = [0, logits[0]];
  if (columns) logits = columns.map((column) => logits[column]);
  return subclasses ? classLogits(logits, subclasses) : logits;
}

function classLogits(logits, sizes) {
  let begin = 0;
  return sizes.map((size) => {
    const own = logits.slice(begin, (begin += size));
    const highest = Math.max(...own);
    return highest + Math.log(own.reduce((sum, value) => sum + Math.exp(value - highest), 0));
  });
}

/** The probabilities of logits. */
export function softmax(logits) {
  const highest = Math.max(...logits);
  const powers = logits.map((value) => Math.exp(value - highest));
  const total = powers.reduce((sum, value) => sum + value, 0);
  return powers.map((value) => value / total);
}
