// Times in this browser: models take turns in blocks of calls, since the clock of a page is too coarse for one call.

const BUDGET_MS = 1500;
const BLOCK_MS = 20;
const MAX_TURNS = 9;
const MIN_TURNS = 3;
const MAX_CALLS = 200;

/**
 * Time models on inputs in turns.
 *
 * Gives the median time of a call of each model in ms, the median of the ratios first / other of the same turn, and of
 * how many turns; null if `stop()` has become true.
 */
export async function timeInTurns(runs, stop) {
  const calls = [];
  for (const run of runs) {
    const once = await block(run, 2);
    calls.push(Math.max(1, Math.min(MAX_CALLS, Math.round(BLOCK_MS / Math.max(once, 0.01)))));
  }
  const turns = [];
  const end = performance.now() + BUDGET_MS;
  while (turns.length < MIN_TURNS || (turns.length < MAX_TURNS && performance.now() < end)) {
    await new Promise((resolve) => setTimeout(resolve)); // the page stays responsive
    if (stop()) return null;
    const turn = [];
    for (const [i, run] of runs.entries()) turn.push(await block(run, calls[i]));
    turns.push(turn);
  }
  const times = runs.map((_, i) => median(turns.map((turn) => turn[i])));
  return { times, ratio: runs.length > 1 ? median(turns.map((turn) => turn[0] / turn[1])) : null, turns: turns.length };
}

async function block(run, calls) {
  const start = performance.now();
  for (let i = 0; i < calls; i++) await run();
  return (performance.now() - start) / calls;
}

/** The middle of some numbers. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
