import { el } from "../dom.ts";
import { Page, type Place } from "../page.ts";
import { LayerBar } from "../views/layer-bar.ts";
import type { CompareContext } from "./compare-context.ts";
import { CompareHeader } from "./compare-header.ts";
import { CompareAnswerView } from "./views/answer.ts";
import { CompareFlowMapView } from "./views/flow-map.ts";
import { CompareKnockoutView } from "./views/knockout.ts";
import { CompareLensView } from "./views/lens.ts";
import { CompareMassView } from "./views/mass.ts";

/** The page of a comparison: the runs, the layer bar, and what is compared. */
export class ComparePanel {
  readonly #page: Page;

  /** Also gives the context its `say`. */
  constructor(root: HTMLElement, context: CompareContext) {
    const header = new CompareHeader(context);
    context.say = (message) => header.say(message);
    const bar = new LayerBar(context);
    const places: Place[] = [
      { view: new CompareAnswerView(context), title: "Answer" },
      { view: new CompareKnockoutView(context), title: "Knockout" },
      { view: new CompareFlowMapView(context), title: "Flow map" },
      { view: new CompareMassView(context), title: "Attention" },
      { view: new CompareLensView(context), title: "Lens" },
    ];
    const main = el(
      "main",
      {},
      el("div", { class: "comparison" }, ...places.map(({ view }) => view.section.element)),
    );
    root.replaceChildren(header.element, bar.element, main);
    const parts = { header, bar, main, places, first: ["comparison", "selection"] as const };
    this.#page = new Page(context, parts);
  }

  /** To be called when the store has changed: draws in the next animation frame. */
  schedule(): void {
    this.#page.schedule();
  }
}
