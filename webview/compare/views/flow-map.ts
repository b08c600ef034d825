import type { ComparedSeries } from "../../../src/runs/comparison/compare.ts";
import { USUAL_STYLE } from "../../../src/runs/sweeps.ts";
import { dropdown } from "../../controls.ts";
import { el, setText, show } from "../../dom.ts";
import { MatrixChart, type MatrixFigure, matrixTable } from "../../matrix-chart.ts";
import { Section, type View } from "../../section.ts";
import type { Topic } from "../../selection.ts";
import { type CompareContext, compareRecipe, points } from "../compare-context.ts";
import { sweepsOf } from "./knockout.ts";

const OTHER_KEY = "compare:other";

/** Sweeps whose points are of the layers around their centre: what a cell of the map stands for. */
function mapped(context: CompareContext): ComparedSeries[] {
  return sweepsOf(context).filter(({ style }) => style === USUAL_STYLE);
}

/** Cells of the flow map, edge family x layer, as the difference of one run to the first. */
export class CompareFlowMapView implements View {
  readonly id = "compare-flow-map";
  readonly section: Section;
  readonly #context: CompareContext;
  readonly #matrix: MatrixChart;
  readonly #without = el("p", { class: "note" });
  readonly #other;
  #row: number | null = null;

  constructor(context: CompareContext) {
    this.#context = context;
    this.section = new Section(context, this.id, "Flow map, difference", {
      evidence: "cause",
      exports: {
        table: () => matrixTable(this.#figure()),
        drawing: () => this.#matrix.drawing(),
      },
    });
    this.#matrix = new MatrixChart(context, (row) => {
      this.#row = row;
      this.#matrix.render(this.#figure());
    });
    this.#other = dropdown("Difference of", [], "", (value) =>
      context.store.choose(OTHER_KEY, value),
    );
    this.section.controls.append(this.#other.element);
    this.section.body.append(this.#matrix.element, this.#without);
  }

  available(): boolean {
    return mapped(this.#context).some(({ differences }) => differences.some((d) => d !== null));
  }

  /** The run that is compared with the first: the chosen one, else the second. */
  get #run(): number {
    const { readable } = this.#context.store;
    const id = this.#context.store.choice(OTHER_KEY, "");
    const at = readable.findIndex((run) => run.id === id);
    return at > 0 ? at : 1;
  }

  render(changed: ReadonlySet<Topic>): void {
    if (changed.size === 1 && changed.has("selection")) {
      this.#matrix.renderMarks();
      return;
    }
    const { store } = this.#context;
    show(this.section.controls, store.readable.length > 2);
    this.#other.setChoices(
      store.readable.slice(1).map(({ id }, i) => ({
        value: id,
        text: `${store.names[i + 1] ?? ""} − run 1`,
      })),
      store.readable[this.#run]?.id ?? "",
    );
    this.#matrix.render(this.#figure());
    const without = mapped(this.#context).filter((series) => !this.#holds(series));
    setText(
      this.#without,
      without.length === 0
        ? ""
        : `Not measured in both runs: ${without.map(({ name }) => name).join(", ")}.`,
    );
    this.section.setRecipe([
      `a cell is the change by the cut in run ${this.#run + 1} less that in run 1, in percentage points; no cell: not measured in both`,
      "above 0 the cut costs run 1 more, below 0 it costs the other run more",
      ...compareRecipe(store),
    ]);
    this.section.refresh();
  }

  #holds({ differences }: ComparedSeries): boolean {
    return differences[this.#run] != null;
  }

  #figure(): MatrixFigure {
    const { store } = this.#context;
    const run = this.#run;
    const held = mapped(this.#context).filter((series) => this.#holds(series));
    const layers = store.layerCount;
    const values = new Float32Array(held.length * layers).fill(Number.NaN);
    held.forEach(({ differences }, row) => {
      differences[run]?.forEach((value, layer) => {
        if (value !== null) values[row * layers + layer] = value;
      });
    });
    const max = values.reduce(
      (m, value) => (Number.isNaN(value) ? m : Math.max(m, Math.abs(value))),
      0,
    );
    return {
      title: `Difference of run ${run + 1} to run 1`,
      unit: "change by the cut, percentage points",
      rows: held.map(({ name }) => name),
      layers,
      values,
      max,
      diverging: { below: `cut costs run ${run + 1} more`, above: "cut costs run 1 more" },
      format: points,
      chosenRow: this.#row !== null && this.#row < held.length ? this.#row : null,
    };
  }
}
