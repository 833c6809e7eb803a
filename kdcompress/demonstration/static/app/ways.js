// The ways in: test images, drawing, picture files, the camera.

import { element, paint } from "./answers.js";
import { differ } from "./check.js";
import { Pad, centred, inverted } from "./digit.js";
import { inkOnPaper } from "./paper.js";
import { decode, frame, startCamera, stopCamera } from "./pictures.js";

const PAUSE_MS = 400; // after a stroke, before times are taken
const FRAME_MS = 150;

/** Offer every way that the data allow; `ask` takes a source. */
export function offerWays(engine, ask, problem) {
  const { facts } = engine;
  const ways = { draw: facts.ink !== null, samples: facts.samples.length > 0, file: facts.image.files, camera: true };
  const radios = [...document.querySelectorAll("input[name=way]")];
  const leave = { camera: () => {} };
  for (const radio of radios) {
    radio.closest("label").hidden = !ways[radio.value];
    radio.addEventListener("change", () => choose(radio.value));
  }
  function choose(way) {
    leave.camera();
    for (const radio of radios) {
      radio.checked = radio.value === way;
      document.getElementById(`way-${radio.value}`).hidden = radio.value !== way;
    }
  }
  if (ways.samples) offerSamples(engine, ask);
  if (ways.draw) offerPad(facts, ask);
  if (ways.file) offerFiles(ask, problem, choose);
  leave.camera = offerCamera(facts, ask, problem);
  choose(Object.keys(ways).find((way) => ways[way]));
}

function offerSamples(engine, ask) {
  const list = document.querySelector("#way-samples ul");
  for (const sample of engine.facts.samples) {
    const name = engine.facts.classes[sample.label];
    const differing = differ(engine, sample) ? "they differ" : "";
    const item = document.createElement("li");
    const button = element("button", "", { type: "button", title: sample.id });
    const canvas = element("canvas", "", { "aria-hidden": "true" });
    button.append(canvas, element("span", name), element("span", differing, { class: "detail" }));
    button.setAttribute("aria-label", `Test image ${sample.id}, label ${name}${differing && `, ${differing}`}`);
    button.addEventListener("click", () => {
      for (const other of list.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
      ask({ sample, label: sample.label });
    });
    engine.pixels({ sample }, engine.student).then((pixels) => paint(canvas, pixels));
    item.append(button);
    list.append(item);
  }
}

function offerPad(facts, ask) {
  const canvas = document.querySelector("#way-draw canvas");
  let waiting;
  const answer = (live) => {
    const pixels = digitOf(facts, pad.ink());
    if (pixels) ask({ pixels, live });
  };
  const pad = new Pad(canvas, (ended) => {
    clearTimeout(waiting);
    answer(true);
    if (ended) waiting = setTimeout(() => answer(false), PAUSE_MS);
  });
  document.getElementById("clear").addEventListener("click", () => pad.clear());
}

/** Ink as pixels of the data; null if there is none. */
function digitOf(facts, ink) {
  const digit = ink && centred(ink, facts.image.width);
  return digit && facts.ink === "dark" ? inverted(digit) : digit;
}

function offerFiles(ask, problem, choose) {
  const input = document.querySelector("#way-file input");
  const take = async (file) => {
    if (!file) return;
    try {
      ask({ picture: await decode(file) });
    } catch (error) {
      problem(error.message);
    }
  };
  input.addEventListener("change", () => take(input.files[0]));
  const dropped = (event) => [...(event.dataTransfer?.items ?? [])].some(({ kind }) => kind === "file");
  const mark = (over) => document.body.classList.toggle("dropping", over);
  document.addEventListener("dragover", (event) => {
    if (!dropped(event)) return;
    event.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && mark(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    choose("file");
    take(event.dataTransfer.files[0]);
  });
}

/** Offer the camera; gives a function that stops it. */
function offerCamera(facts, ask, problem) {
  const video = document.querySelector("#way-camera video");
  const [start, hold] = [document.getElementById("camera"), document.getElementById("hold")];
  const said = document.querySelector("#way-camera [role=status]");
  let timer = null;
  const answer = (live) => {
    const picture = frame(video);
    if (facts.ink === null) return ask({ picture, live });
    const pixels = digitOf(facts, inkOnPaper(picture));
    return pixels ? ask({ pixels, live }) : problem("No digit is seen: hold one, dark on light paper, into the middle.");
  };
  const look = () => {
    if (!document.hidden && video.videoWidth) answer(true);
  };
  function show(on) {
    video.hidden = hold.hidden = !on;
    start.textContent = on ? "Stop the camera" : "Start the camera";
  }
  function stop() {
    clearInterval(timer);
    stopCamera(video);
    show(false);
  }
  start.addEventListener("click", async () => {
    if (video.srcObject) return stop();
    said.textContent = "";
    try {
      await startCamera(video);
      show(true);
      timer = setInterval(look, FRAME_MS);
    } catch (error) {
      said.textContent = error.message;
    }
    return undefined;
  });
  hold.addEventListener("click", () => {
    answer(false);
    stop();
    start.focus();
  });
  return stop;
}
