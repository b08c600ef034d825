import type { DrawContext, View } from "./context.ts";
import { show } from "./dom.ts";
import type { Topic } from "./selection.ts";
import { onThemeChange, readTheme } from "./theme.ts";
import type { LayerBar } from "./views/layer-bar.ts";

/** A view with its name in the layer bar's links. */
export interface Place {
  readonly view: View;
  readonly title: string;
}

interface Placed extends Place {
  /** Changes since the view last drew; views out of sight draw when they come into it. */
  readonly dirty: Set<Topic>;
  visible: boolean;
}

/** Draws a panel's views: at most once a frame, and only while they are in sight. */
export class Page {
  readonly #context: DrawContext;
  readonly #header: { render(changed: ReadonlySet<Topic>): void };
  readonly #bar: LayerBar;
  readonly #places: readonly Placed[];
  #scheduled = false;

  /** `first` are the topics that every view has to draw to begin with. */
  constructor(
    context: DrawContext,
    parts: {
      readonly header: { render(changed: ReadonlySet<Topic>): void };
      readonly bar: LayerBar;
      readonly places: readonly Place[];
      readonly first: readonly Topic[];
    },
  ) {
    this.#context = context;
    this.#header = parts.header;
    this.#bar = parts.bar;
    this.#places = parts.places.map((place) => ({
      ...place,
      dirty: new Set(parts.first),
      visible: false,
    }));
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
  reveal(id: string): void {
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
    const listed: Placed[] = [];
    for (const place of this.#places) {
      for (const topic of changed) place.dirty.add(topic);
      const available = place.view.available();
      show(place.view.section.element, available);
      if (available) listed.push(place);
      if (place.visible) this.#draw(place);
    }
    this.#bar.setViews(listed, (id) => this.reveal(id));
  }

  #draw(place: Placed): void {
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
