import type { DrawContext } from "./context.ts";
import { show } from "./dom.ts";
import type { View } from "./section.ts";
import type { Topic } from "./selection.ts";
import { onThemeChange, readTheme } from "./theme.ts";
import type { LayerBar } from "./views/layer-bar.ts";

/** A view with its name in the layer bar's links. */
export interface Place {
  readonly view: View;
  readonly title: string;
}

/** Parts of a page. */
export interface PageParts {
  readonly header: { render(changed: ReadonlySet<Topic>): void };
  readonly bar: LayerBar;
  /** Element around the views: busy until all of them are there. */
  readonly main: HTMLElement;
  readonly places: readonly Place[];
  /** Make further views and put them into the page, in their order: when there is time for it. */
  readonly later?: readonly (() => Place)[];
  /** What they wait for, unless it takes long. */
  readonly before?: Promise<void>;
  /** Topics that every view has to draw to begin with. */
  readonly first: readonly Topic[];
}

/** Longest wait for a quiet moment, in milliseconds. */
const QUIET_MS = 500;
/** Longest wait for what comes before the further views. */
const BEFORE_MS = 1_000;

/** Calls back in a quiet moment; some browsers cannot tell one, and an exported page is shown there. */
function whenQuiet(work: () => void): void {
  if (typeof requestIdleCallback === "undefined") setTimeout(work, 20);
  else requestIdleCallback(work, { timeout: QUIET_MS });
}

interface Placed extends Place {
  /** Changes since the view last drew; views out of sight draw when they come into it. */
  readonly dirty: Set<Topic>;
  visible: boolean;
}

/** Draws a panel's views: at most once a frame, and only while they are in sight. */
export class Page {
  readonly #context: DrawContext;
  readonly #header: PageParts["header"];
  readonly #bar: LayerBar;
  readonly #main: HTMLElement;
  readonly #places: Placed[] = [];
  readonly #later: (() => Place)[];
  readonly #observer: IntersectionObserver;
  /** Every topic so far: what a view that is made later has to draw. */
  readonly #seen: Set<Topic>;
  #scheduled = false;

  constructor(context: DrawContext, parts: PageParts) {
    this.#context = context;
    this.#header = parts.header;
    this.#bar = parts.bar;
    this.#main = parts.main;
    this.#later = [...(parts.later ?? [])];
    this.#seen = new Set(parts.first);
    this.#observer = this.#watchVisibility();
    for (const place of parts.places) this.#add(place);
    this.#main.setAttribute("aria-busy", String(this.#later.length > 0));
    const long = new Promise<void>((resolve) => setTimeout(resolve, BEFORE_MS));
    void Promise.race([parts.before, long]).then(() => this.#makeLater());
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
    const find = () => this.#places.find(({ view }) => view.id === id);
    while (find() === undefined && this.#later.length > 0) this.#makeNext();
    const place = find();
    if (place === undefined) return;
    if (!place.view.section.isOpen) this.#context.store.choose(`fold:${id}`, false);
    const { element } = place.view.section;
    element.scrollIntoView({ block: "start" });
    element.querySelector<HTMLElement>(".fold")?.focus({ preventScroll: true });
  }

  /** Makes the further views one by one, each in a quiet moment of its own. */
  #makeLater(): void {
    this.#main.setAttribute("aria-busy", String(this.#later.length > 0));
    if (this.#later.length === 0) return;
    whenQuiet(() => {
      this.#makeNext();
      this.#makeLater();
    });
  }

  #makeNext(): void {
    const make = this.#later.shift();
    if (make === undefined) return;
    const { view } = this.#add(make());
    show(view.section.element, view.available());
    // The bar links to it.
    this.schedule();
  }

  #add(place: Place): Placed {
    const placed = { ...place, dirty: new Set(this.#seen), visible: false };
    this.#places.push(placed);
    this.#observer.observe(place.view.section.element);
    return placed;
  }

  #render(changed: ReadonlySet<Topic>): void {
    for (const topic of changed) this.#seen.add(topic);
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

  #watchVisibility(): IntersectionObserver {
    return new IntersectionObserver(
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
  }
}
