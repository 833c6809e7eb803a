// Both answers side by side: classes with probabilities, whether they agree, and times. All text is set as text.

import { softmax } from "./models.js";

const SHOWN = 5; // classes
const ROLES = ["teacher", "student"];

/** An element with text and attributes. */
export function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** A number of three significant digits. */
export function digits(value) {
  return value >= 100 ? String(Math.round(value)) : Number(value.toPrecision(3)).toString();
}

export class Answers {
  constructor(facts) {
    this.classes = facts.classes;
    this.cards = Object.fromEntries(ROLES.map((role) => [role, document.getElementById(role)]));
    this.verdict = document.getElementById("verdict");
    this.speed = document.getElementById("speed");
    document.querySelector(".cards").style.setProperty("--rows", Math.min(SHOWN, facts.classes.length));
  }

  /** What is known of a model. */
  describe({ role, facts }) {
    const list = this.cards[role].querySelector("dl");
    list.replaceChildren(...facts.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  }

  /** Why there is no teacher. */
  without(role, reason) {
    const card = this.cards[role];
    card.classList.add("absent");
    for (const part of card.querySelectorAll(".head, ol, .time, dl")) part.remove();
    card.append(element("p", reason, { class: "detail" }));
  }

  /** Show the answers by role, `{ logits, pixels }`; `label` is the true class where it is known. */
  show(answers, label, live) {
    const tops = Object.entries(answers).map(([role, { logits, pixels }]) => {
      const probabilities = softmax(logits);
      const order = probabilities.map((_, i) => i).sort((a, b) => probabilities[b] - probabilities[a]);
      this.#fill(this.cards[role], order.slice(0, SHOWN), probabilities, label);
      paint(this.cards[role].querySelector("canvas"), pixels);
      return { role, top: order[0], probability: probabilities[order[0]] };
    });
    this.verdict.setAttribute("aria-live", live ? "off" : "polite");
    this.verdict.replaceChildren(...this.#sentences(tops, label));
  }

  /** Nothing is known of the next picture yet, or there is a problem with it. */
  problem(text) {
    if (this.verdict.textContent === text) return; // which is said once, not with every picture of the camera
    this.verdict.setAttribute("aria-live", "polite");
    this.verdict.replaceChildren(element("span", text, { class: "bad" }));
    this.showTimes(null);
  }

  /** Show the times of a call by role, and how many times as fast the student is. */
  showTimes(timed) {
    for (const role of ROLES) {
      const place = this.cards[role].querySelector(".time");
      if (place) place.textContent = timed?.times[role] === undefined ? "" : `${digits(timed.times[role])} ms`;
    }
    const [big, rest] = timed ? speedWords(timed) : ["", ""];
    const [number, how] = this.speed.children;
    [number.textContent, how.textContent] = [big, rest];
    number.className = timed?.ratio >= 1 ? "good" : "bad";
  }

  #fill(card, order, probabilities, label) {
    const [top] = order;
    card.querySelector(".top").textContent = this.classes[top];
    card.querySelector(".sure").textContent = percent(probabilities[top]);
    const rows = order.map((index) => {
      const row = element("li", "", index === label ? { class: "true" } : {});
      const bar = element("span", "", { class: "bar" });
      bar.style.setProperty("--part", `${100 * probabilities[index]}%`);
      row.append(element("span", this.classes[index], { class: "class" }), bar);
      row.append(element("span", percent(probabilities[index]), { class: "percent" }));
      return row;
    });
    card.querySelector("ol").replaceChildren(...rows);
    card.classList.add("answered");
  }

  #sentences(tops, label) {
    const parts = [];
    if (tops.length === 2) {
      const same = tops[0].top === tops[1].top;
      const [first, second] = tops.map(({ top }) => this.classes[top]);
      parts.push(
        element("strong", same ? "They agree: " : "They differ: ", { class: same ? "good" : "bad" }),
        same ? `${first} for both.` : `${first} for the ${tops[0].role}, ${second} for the ${tops[1].role}.`,
      );
    } else parts.push(`The student says ${this.classes[tops[0].top]}.`);
    if (label !== undefined) parts.push(` The label is ${this.classes[label]}.`);
    return parts;
  }
}

function percent(probability) {
  return `${(100 * probability).toFixed(1)} %`;
}

function speedWords({ ratio, turns }) {
  const how = `median of ${turns} turns in this browser, one thread.`;
  if (ratio === null) return ["", `Time of one image: ${how}`];
  if (ratio >= 1) return [`${digits(ratio)}×`, `as fast as the teacher: ${how}`];
  return [`${digits(1 / ratio)}×`, `SLOWER than the teacher: ${how}`];
}

/** Draw pixels on a canvas of their size. */
export function paint(canvas, { data, width, height, channels }) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++)
    for (let c = 0; c < 4; c++) {
      const has = channels === 1 ? 0 : c;
      image.data[4 * i + c] = c === 3 && channels < 4 ? 255 : data[i * channels + has];
    }
  context.putImageData(image, 0, 0);
  canvas.classList.toggle("tiny", Math.max(width, height) <= 64);
}
