import type { PanelView } from "../src/host/panel/protocol.ts";
import type { Context, View } from "./context.ts";
import { el, show } from "./dom.ts";
import type { Topic } from "./store.ts";
import { onThemeChange, readTheme } from "./theme.ts";
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

interface Place {
  readonly view: View;
  readonly title: string;
  /** Changes since the view last drew; views out of sight draw when they come into it. */
  readonly dirty: Set<Topic>;
  visible: boolean;
}

const EVERYTHING: readonly Topic[] = ["run", "frames", "layers", "experiments", "selection"];

/** The page: head, layer bar, and the views, drawn at most once a frame and only while in sight. */
export class Panel {
  readonly #context: Context;
  readonly #header: Header;
  readonly #bar: LayerBar;
  readonly #places: readonly Place[];
  #scheduled = false;

  constructor(root: HTMLElement, context: Context) {
    this.#context = context;
    this.#header = new Header(context);
    context.say = (message) => this.#header.say(message);
    this.#bar = new LayerBar(context);
    const place = (view: View, title: string): Place => ({
      view,
      title,
      dirty: new Set(EVERYTHING),
      visible: false,
    });
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
    this.#places = [...input, ...results];
    root.replaceChildren(
      this.#header.element,
      this.#bar.element,
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
    this.#watchVisibility();
    onThemeChange(() => {
      context.theme = readTheme();
      context.store.touch("theme");
    });
  }

  /** To be called when the store has changed: draws in the next animation frame. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#render(this.#context.store.takeChanges());
    });
  }

  /** Scrolls to a view and puts the focus on its heading. */
  reveal(id: PanelView): void {
    const place = this.#places.find(({ view }) => view.id === id);
    if (place === undefined) return;
    if (!place.view.section.isOpen) this.#context.store.choose(`fold:${id}`, false);
    const { element } = place.view.section;
    element.scrollIntoView({ block: "start" });
    element.querySelector<HTMLElement>(".fold")?.focus({ preventScroll: true });
  }

  #render(changed: ReadonlySet<Topic>): void {
    this.#header.render(changed);
    this.#bar.render(changed);
    const listed: Place[] = [];
    for (const place of this.#places) {
      for (const topic of changed) place.dirty.add(topic);
      const available = place.view.available();
      show(place.view.section.element, available);
      if (available) listed.push(place);
      if (place.visible) this.#draw(place);
    }
    this.#bar.setViews(listed, (id) => this.reveal(id));
  }

  #draw(place: Place): void {
    if (place.dirty.size === 0 || !place.view.available()) return;
    const dirty = new Set(place.dirty);
    place.dirty.clear();
    if (place.view.section.isOpen) place.view.render(dirty);
    else {
      // Folded: only the fold itself is brought up to date; the rest is kept for later.
      place.view.section.refresh();
      for (const topic of dirty) if (topic !== "choices") place.dirty.add(topic);
    }
  }

  #watchVisibility(): void {
    const observer = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          const place = this.#places.find(({ view }) => view.section.element === entry.target);
          if (place === undefined) continue;
          place.visible = entry.isIntersecting;
          if (place.visible) this.#draw(place);
        }
      },
      { rootMargin: "200px" },
    );
    for (const { view } of this.#places) observer.observe(view.section.element);
  }
}
