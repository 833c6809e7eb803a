// Whether this browser computes what the desk computed: every test image of the page through every model.

import { element } from "./answers.js";

/** Compare the logits of all test images with the desk's; one row of figures for each model. */
export async function compare(engine) {
  const rows = [];
  for (const facts of engine.facts.models) {
    let [difference, same] = [0, 0];
    for (const sample of engine.facts.samples) {
      const [here, desk] = [await engine.logits({ sample }, facts), sample.logits[facts.name]];
      difference = Math.max(difference, ...here.map((value, i) => Math.abs(value - desk[i])));
      same += top(here) === top(desk) ? 1 : 0;
    }
    rows.push({ name: facts.name, images: engine.facts.samples.length, difference, same });
  }
  return rows;
}

/** Whether teacher and student gave different classes for a test image at the desk. */
export function differ({ teacher, student }, { logits }) {
  return teacher !== undefined && top(logits[teacher.name]) !== top(logits[student.name]);
}

function top(logits) {
  return logits.indexOf(Math.max(...logits));
}

/** Make the button compare, and show the figures in the table. */
export function offerCheck(engine, section) {
  const [button, table] = [section.querySelector("button"), section.querySelector("tbody")];
  section.hidden = engine.facts.samples.length === 0;
  button.addEventListener("click", async () => {
    button.disabled = true;
    const outcome = section.querySelector("[role=status]");
    outcome.textContent = "Comparing …";
    try {
      const rows = await compare(engine);
      table.replaceChildren(...rows.map(row));
      section.querySelector(".scroll").hidden = false;
      const all = rows.every(({ same, images }) => same === images);
      outcome.textContent = all ? "The same answer for every image." : "Some answers differ from the desk's: see the table.";
    } catch (error) {
      outcome.textContent = `The comparison failed: ${error.message}`;
    }
    button.disabled = false;
  });
}

function row({ name, images, difference, same }) {
  const made = document.createElement("tr");
  made.append(element("th", name, { scope: "row", class: "name" }));
  for (const cell of [`${same} of ${images}`, difference.toExponential(1)]) made.append(element("td", cell));
  return made;
}
