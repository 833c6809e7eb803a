// What is asked of the models: the newest picture alone is answered, and models are loaded when they are first needed.

import { Model, bytesOf, pixelsOfPicture, pixelsOfPixels } from "./models.js";
import { Pixels } from "./pixels.js";
import { timeInTurns } from "./timing.js";

export class Engine {
  constructor(ort, facts) {
    Object.assign(this, { ort, facts, loaded: new Map(), working: false, next: null });
    this.student = facts.models.find(({ role }) => role === "student");
    this.teacher = facts.models.find(({ role }) => role === "teacher");
  }

  /** The model of a name, which is loaded once. */
  model(facts) {
    if (!this.loaded.has(facts.name)) this.loaded.set(facts.name, Model.load(this.ort, facts));
    return this.loaded.get(facts.name);
  }

  /** Teacher and student that are asked now. */
  get asked() {
    return [this.teacher, this.student].filter(Boolean);
  }

  /** Pixels for a model: of RGBA data, of pixels of the data's size, or stored ones of a test image. */
  async pixels(source, { name, image }) {
    if (source.picture) return pixelsOfPicture(source.picture, image, this.facts.image);
    if (source.pixels) return pixelsOfPixels(source.pixels, image);
    const bytes = await bytesOf(source.sample.pixels[name]);
    return new Pixels(bytes, image.width, image.height, image.channels);
  }

  /** Logits of a model for a source. */
  async logits(source, facts) {
    return (await this.model(facts)).logits(await this.pixels(source, facts));
  }

  /**
   * Answer a source, unless a newer one comes before its turn.
   *
   * `onAnswers` gets logits and pixels by role, `onTimes` the times unless `source.live`, `onError` a message.
   */
  async ask(source, listener) {
    this.next = { source, listener };
    if (this.working) return;
    this.working = true;
    while (this.next) {
      const { source: newest, listener: asked } = this.next;
      this.next = null;
      try {
        await this.#answer(newest, asked);
      } catch (error) {
        asked.onError(error.message);
      }
    }
    this.working = false;
  }

  async #answer(source, { onAnswers, onTimes }) {
    const answers = {};
    const runs = [];
    const models = this.asked;
    for (const facts of models) {
      const [model, pixels] = [await this.model(facts), await this.pixels(source, facts)];
      answers[facts.role] = { pixels, logits: await model.logits(pixels) };
      const input = model.input(pixels);
      runs.push(() => model.run(input));
    }
    onAnswers(answers);
    if (source.live || this.next) return;
    const timed = await timeInTurns(runs, () => this.next !== null);
    if (timed) onTimes({ ...timed, times: Object.fromEntries(models.map(({ role }, i) => [role, timed.times[i]])) });
  }
}
