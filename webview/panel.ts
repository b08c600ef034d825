import type { PanelView } from "../src/host/panel/protocol.ts";
import type { Context, View } from "./context.ts";
import { el } from "./dom.ts";
import { Page, type Place } from "./page.ts";
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
    const place = (view: View, title: string): Place => ({ view, title });
    const input = [
      place(new VideoView(context), "Video"),
      place(new PromptView(context), "Prompt"),
    ];
    const results = [
      place(new AnswerView(context), "Answer"),
      place(new KnockoutView(context), "Knockout"),
      place(new LensView(context), "Lens"),
      place(new AttentionView(context), "Attention"),
      place(new FlowMapView(context), "Flow map"),
      place(new PathwaysView(context), "Pathways"),
      place(new WhatIfView(context), "What if"),
      place(new GenerationView(context), "Generation"),
    ];
    root.replaceChildren(
      header.element,
      bar.element,
      el(
        "main",
        {},
        el(
          "div",
          { class: "columns" },
          el("div", { class: "column input" }, ...input.map(({ view }) => view.section.element)),
          el(
            "div",
            { class: "column results" },
            ...results.map(({ view }) => view.section.element),
          ),
        ),
      ),
    );
    this.#page = new Page(context, {
      header,
      bar,
      places: [...input, ...results],
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
