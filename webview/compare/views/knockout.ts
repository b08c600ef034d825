import { type ComparedSeries, compareSweeps } from "../../../src/runs/comparison/compare.ts";
import { radios } from "../../controls.ts";
import { change, el, show } from "../../dom.ts";
import { Section, type View } from "../../section.ts";
import type { Topic } from "../../selection.ts";
import { type CompareContext, compareRecipe, points } from "../compare-context.ts";
import { MissingNote } from "../missing-note.ts";
import { Multiples } from "../multiples.ts";
import { differenceNote } from "../multiples-drawing.ts";
import { type MultiplesFigure, multiplesTable } from "../multiples-figure.ts";

/** Whose probability a sweep's changes are of: kept for all views of sweeps. */
export const SUBJECT_KEY = "compare:knockout-subject";

/** The knockout series of all runs, as the views of sweeps have chosen them. */
export function sweepsOf({ store }: CompareContext): ComparedSeries[] {
  const of = store.choice<string>(SUBJECT_KEY, "answer") === "truth" ? "truth" : "answer";
  return compareSweeps(store.facts, store.alignment, of);
}

/** Knockout sweeps as small charts on one scale, a chart for each series. */
export class CompareKnockoutView implements View {
  readonly id = "compare-knockout";
  readonly section: Section;
  readonly #context: CompareContext;
  readonly #multiples: Multiples;
  readonly #missing: MissingNote;
  readonly #empty = el("p", { class: "empty" });
  readonly #subject;

  constructor(context: CompareContext) {
    this.#context = context;
    const { store } = context;
    this.section = new Section(context, this.id, "Knockout sweep", {
      evidence: "cause",
      exports: {
        table: () => multiplesTable(this.#figure()),
        drawing: () => this.#multiples.drawing(),
      },
    });
    this.#multiples = new Multiples(context);
    this.#missing = new MissingNote(context, "series");
    this.#subject = radios(
      "Change of the probability of",
      [
        { value: "answer", text: "each run's clean answer" },
        { value: "truth", text: "its true option" },
      ],
      store.choice<string>(SUBJECT_KEY, "answer"),
      (value) => store.choose(SUBJECT_KEY, value),
    );
    this.#empty.textContent =
      "None of these runs holds a knockout sweep. Open a run and start “Flowprobe: Knockout Sweep”.";
    this.section.controls.append(
      el("span", { class: "muted" }, "Probability of"),
      this.#subject.element,
    );
    this.section.body.append(this.#empty, this.#missing.element, this.#multiples.element);
  }

  available(): boolean {
    return this.#context.store.facts.length > 1;
  }

  render(changed: ReadonlySet<Topic>): void {
    if (changed.size === 1 && changed.has("selection")) {
      this.#multiples.renderMarks();
      return;
    }
    const { store } = this.#context;
    this.#subject.set(store.choice<string>(SUBJECT_KEY, "answer"));
    this.#missing.render();
    const figure = this.#figure();
    show(this.#empty, figure.cells.length === 0);
    show(this.#multiples.element, figure.cells.length > 0);
    show(this.section.controls, figure.cells.length > 0);
    this.#multiples.render(figure);
    this.section.setRecipe(
      figure.cells.length === 0
        ? []
        : [
            "edges set to the lowest score before the softmax, in every head",
            "change in % of the clean run's probability, differences in percentage points",
            "the area between two lines has the colour of the higher one",
            ...settingsRecipe(sweepsOf(this.#context)),
            ...compareRecipe(store),
          ],
    );
    this.section.refresh();
  }

  #figure(): MultiplesFigure {
    const { store } = this.#context;
    return {
      title: "Knockout sweep",
      yLabel: "% change by the window's centre",
      layers: store.layerCount,
      runs: store.names,
      format: change,
      formatDifference: points,
      details: (layer) => store.layerDetails(layer),
      cells: sweepsOf(this.#context).map((series) => ({ ...series, note: noteOf(series) })),
    };
  }
}

/** What is said under a series' name: other windows first, then what is missing, then the difference. */
function noteOf({ values, differences, settings, sameSettings }: ComparedSeries): string {
  const lacking = values.flatMap((line, run) => (line === null ? [run + 1] : []));
  const windows = settings.map((text) => /window (\S+?),/.exec(text ?? "")?.[1] ?? "–");
  return [
    sameSettings ? "" : `windows ${windows.join(" / ")}`,
    lacking.length === 0 ? "" : `not measured in run ${lacking.join(", ")}`,
    differenceNote(differences, points),
  ]
    .filter((part) => part !== "")
    .join(" · ");
}

function settingsRecipe(sweeps: readonly ComparedSeries[]): string[] {
  const settings = new Set(
    sweeps.flatMap(({ settings }) => settings).filter((text) => text !== null),
  );
  return settings.size === 1
    ? [...settings]
    : [`the windows are not the same: ${[...settings].join(" and ")}`];
}
