// The page: loads what demo.json names, and connects the ways in with the answers.

import { Answers } from "./answers.js";
import { offerCheck } from "./check.js";
import { Engine } from "./engine.js";
import { altersPictures } from "./pictures.js";
import { loadRuntime } from "./runtime.js";
import { offerWays } from "./ways.js";

const status = document.getElementById("status");

async function start() {
  const answer = await fetch("demo.json");
  if (!answer.ok) throw new Error(`demo.json is not there (${answer.status})`);
  const facts = await answer.json();
  const engine = new Engine(await loadRuntime(facts.runtime), facts);
  const answers = new Answers(facts);
  await loadModels(engine, answers);
  let last = null;
  const ask = (source) => {
    last = source;
    answers.showTimes(null);
    engine.ask(source, {
      onAnswers: (given) => answers.show(given, source.label, source.live),
      onTimes: (timed) => answers.showTimes(timed),
      onError: (text) => answers.problem(text),
    });
  };
  offerPrecisions(engine, answers, () => last && ask({ ...last, live: false }));
  offerWays(engine, ask, (text) => answers.problem(text));
  offerCheck(engine, document.getElementById("check"));
  document.getElementById("altered").hidden = !altersPictures();
  document.getElementById("stage").hidden = false;
  status.hidden = true;
  if (facts.ink === null) document.querySelector(".samples button")?.click();
}

/** Open both models; the page goes on without a teacher that this browser cannot open. */
async function loadModels(engine, answers) {
  await engine.model(engine.student);
  answers.describe(engine.student);
  if (!engine.teacher) {
    answers.without("teacher", `It cannot be shown here: ${engine.facts.no_teacher}.`);
    return;
  }
  try {
    await engine.model(engine.teacher);
    answers.describe(engine.teacher);
  } catch (error) {
    engine.facts.models = engine.facts.models.filter(({ role }) => role !== "teacher");
    engine.teacher = undefined;
    answers.without("teacher", `This browser cannot open it: ${error.message}.`);
  }
}

/** Offer the student's int8 file beside the one in float32, where the page has both. */
function offerPrecisions(engine, answers, again) {
  const students = engine.facts.models.filter(({ role }) => role === "student");
  for (const radio of document.querySelectorAll("#precisions input"))
    radio.addEventListener("change", () => {
      engine.student = students.find(({ precision }) => precision === radio.value);
      answers.describe(engine.student);
      again();
    });
}

start().catch((error) => {
  status.hidden = false;
  status.classList.add("warning");
  status.textContent = `The page cannot start: ${error.message}`;
});
