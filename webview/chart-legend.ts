import { el, fill } from "./dom.ts";
import type { LineFigure, LineSeries } from "./line-figure.ts";
import { SHAPES } from "./theme.ts";

/** A series' colour and point shape, as in the chart. */
export function swatch(series: LineSeries): HTMLElement {
  const slot = series.slot % SHAPES.length;
  return el("span", {
    class: `swatch s${slot + 1} shape-${SHAPES[slot] ?? "circle"}`,
    "aria-hidden": "true",
  });
}

/** A chart's legend; pressing an entry hides or shows its line. */
export class ChartLegend {
  readonly element = el("ul", { class: "legend" });
  /** Names of the series that are hidden. */
  readonly hidden = new Set<string>();
  readonly #onChange: () => void;
  #key = "";

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  render(figure: LineFigure): void {
    const key = JSON.stringify([
      figure.series.map(({ name, slot, emphasised }) => [name, slot, emphasised]),
      [...this.hidden],
    ]);
    if (key === this.#key) return;
    this.#key = key;
    const focused = this.element.contains(document.activeElement)
      ? document.activeElement?.textContent
      : null;
    fill(
      this.element,
      ...figure.series.map((series) => {
        const entry = el(
          "button",
          {
            type: "button",
            class: series.emphasised ? "emphasised" : null,
            "aria-pressed": String(!this.hidden.has(series.name)),
            title: "Show or hide this line",
          },
          swatch(series),
          el("span", { class: "name" }, series.name),
        );
        entry.addEventListener("click", () => {
          if (!this.hidden.delete(series.name)) this.hidden.add(series.name);
          this.#onChange();
        });
        if (focused === series.name) queueMicrotask(() => entry.focus());
        return el("li", {}, entry);
      }),
    );
  }
}
