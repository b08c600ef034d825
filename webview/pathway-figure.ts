import { bestForEdges } from "../src/protocol/pathways.ts";
import { percent } from "./dom.ts";
import { type Trial, trialLines } from "./pathway-trials.ts";
import { SCATTER_STEP, type ScatterFigure, type ScatterPoint } from "./scatter-figure.ts";

/**
 * The curve of edges left against probability kept: what searches tried, with the best of it for each
 * number of edges joined, what was found and what was chosen, and the random controls.
 *
 * @param keepShare bound of the last search.
 * @param choose called with the trial whose point was chosen.
 */
export function pathwayFigure(
  trials: readonly Trial[],
  keepShare: number | undefined,
  choose: (trial: Trial) => void,
): ScatterFigure {
  const from = (origin: Trial["origin"]) => trials.filter((trial) => trial.origin === origin);
  const points = (list: readonly Trial[]) =>
    list.map(
      (trial): ScatterPoint => ({
        x: trial.edgesLeft,
        y: trial.share,
        lines: trialLines(trial),
        choose: () => choose(trial),
      }),
    );
  const tried = from("tried");
  const curve = bestForEdges(tried);
  const random = trials.flatMap(({ edgesLeft, random: control }): ScatterPoint[] => {
    if (control === undefined) return [];
    const share = control.base_score > 0 ? control.new_score / control.base_score : 0;
    const lines = [
      `${percent(edgesLeft)} of the edges, ${percent(share)} of the probability kept`,
      `as many cut at random: answer ${control.new_answer}`,
    ];
    return [{ x: edgesLeft, y: share, lines }];
  });
  const rest = tried.filter((trial) => !curve.includes(trial));
  const edges = trials.map(({ edgesLeft }) => edgesLeft);
  const most = Math.max(1, ...trials.map(({ share }) => share), ...random.map(({ y }) => y));
  return {
    title: "Edges left and probability kept",
    xLabel: "attention edges left",
    yLabel: "kept of p(clean answer)",
    x: [Math.floor(Math.min(1, ...edges) / SCATTER_STEP - 0.05) * SCATTER_STEP, 1].map((value) =>
      Math.max(0, value),
    ) as [number, number],
    y: [0, Math.ceil(most / SCATTER_STEP - 1e-9) * SCATTER_STEP],
    bound:
      keepShare === undefined
        ? undefined
        : { y: keepShare, name: `${percent(keepShare)} asked for` },
    format: percent,
    series: [
      { name: "Tried by the search", slot: 6, look: "faint", points: points(rest) },
      { name: "Most kept for its edges", slot: 4, look: "line", points: points(curve) },
      { name: "Random edges cut", slot: 1, look: "plain", points: random },
      { name: "Pathways kept", slot: 0, look: "plain", points: points(from("chosen")) },
      { name: "Found", slot: 3, look: "mark", points: points(from("found")) },
    ],
  };
}
