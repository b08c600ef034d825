import type { PanelView } from "../src/protocol/panel.ts";
import type { Context } from "./context.ts";
import { el } from "./dom.ts";
import { Page, type Place } from "./page.ts";
import type { View } from "./section.ts";
import { AnswerView } from "./views/answer.ts";
import { AttentionView } from "./views/attention.ts";
import { FlowMapView } from "./views/flow-map.ts";
import { GenerationView } from "./views/generation.ts";
import { Header } from "./views/header.ts";
import { KnockoutView } from "./views/knockout.ts";
import { LayerBar } from "./views/layer-bar.ts";
import { LensView } from "./views/lens.ts";
import { PathwaysView } from "./views/pathways.ts";
import { PromptView } from "./views/prompt.ts";
import { VideoView } from "./views/video.ts";
import { WhatIfView } from "./views/what-if.ts";

/** The page of one run: head, layer bar, and the views. */
export class Panel {
  readonly #page: Page;

  constructor(root: HTMLElement, context: Context) {
    const header = new Header(context);
    context.say = (message) => header.say(message);
    const bar = new LayerBar(context);
    const input = el("div", { class: "column input" });
    const results = el("div", { class: "column results" });
    const place = (column: HTMLElement, view: View, title: string): Place => {
      column.append(view.section.element);
      return { view, title };
    };
    // Only what shows the first chart is made at once, and nothing else until it does.
    let goOn = () => {};
    const charted = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const onChart = () => {
      context.firstChart();
      goOn();
    };
    const places = [
      place(input, new VideoView(context), "Video"),
      place(input, new PromptView(context), "Prompt"),
      place(results, new AnswerView(context, onChart), "Answer"),
    ];
    const later = [
      () => place(results, new KnockoutView(context), "Knockout"),
      () => place(results, new LensView(context), "Lens"),
      () => place(results, new AttentionView(context), "Attention"),
      () => place(results, new FlowMapView(context), "Flow map"),
      () => place(results, new PathwaysView(context), "Pathways"),
      () => place(results, new WhatIfView(context), "What if"),
      () => place(results, new GenerationView(context), "Generation"),
    ];
    const main = el("main", {}, el("div", { class: "columns" }, input, results));
    root.replaceChildren(header.element, bar.element, main);
    this.#page = new Page(context, {
      header,
      bar,
      main,
      places,
      later,
      before: charted,
      first: ["run", "frames", "layers", "experiments", "selection"],
    });
  }

  /** To be called when the store has changed: draws in the next animation frame. */
  schedule(): void {
    this.#page.schedule();
  }

  /** Scrolls to a view and puts the focus on its heading. */
  reveal(id: PanelView): void {
    this.#page.reveal(id);
  }
}
