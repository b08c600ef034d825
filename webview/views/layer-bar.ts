import type { DrawContext } from "../context.ts";
import { button, slider } from "../controls.ts";
import { el, fill, setText, show } from "../dom.ts";
import type { View } from "../section.ts";
import type { Topic } from "../selection.ts";
import { reducedMotion } from "../theme.ts";

/** Time a layer stays while the layers play. */
const PLAY_MS = 350;
const PLAY_MS_REDUCED = 1000;

/** The bar that stays in sight: links to the views, and the layer that all of them show. */
export class LayerBar {
  readonly element: HTMLElement;
  readonly #context: DrawContext;
  readonly #links = el("nav", { class: "links", "aria-label": "Views" });
  readonly #slider = slider("Layer", 1, 1, 1, (value) =>
    this.#context.store.chooseLayer(value - 1),
  );
  readonly #text = el("output", { class: "layer-text" });
  readonly #play = button("▶", () => this.#toggle(), {
    look: "icon",
    label: "Play through the layers",
  });
  readonly #layers: HTMLElement;
  #timer: ReturnType<typeof setInterval> | null = null;
  #listed = "";

  constructor(context: DrawContext) {
    this.#context = context;
    this.#layers = el(
      "div",
      { class: "layer-control" },
      this.#play,
      el("span", { class: "label", "aria-hidden": "true" }, "Layer"),
      this.#slider.element,
      this.#text,
    );
    this.element = el("div", { class: "layer-bar" }, this.#links, this.#layers);
  }

  /** Lists the views that have something to show. */
  setViews(views: readonly { view: View; title: string }[], go: (view: string) => void): void {
    const key = views.map(({ view }) => view.id).join();
    if (key === this.#listed) return;
    this.#listed = key;
    fill(
      this.#links,
      ...views.map(({ view, title }) => {
        const link = el("button", { type: "button" }, title);
        link.addEventListener("click", () => go(view.id));
        return link;
      }),
    );
  }

  render(changed: ReadonlySet<Topic>): void {
    const { store } = this.#context;
    show(this.#layers, store.layerCount > 0);
    if (changed.has("run") || changed.has("comparison"))
      this.#slider.setRange(1, Math.max(1, store.layerCount));
    const text = `${store.shownLayer + 1} / ${store.layerCount}`;
    this.#slider.set(store.chosenLayer + 1);
    this.#slider.setText(`Layer ${store.chosenLayer + 1} of ${store.layerCount}`);
    setText(this.#text, text);
  }

  #toggle(): void {
    if (this.#timer !== null) {
      this.#stop();
      return;
    }
    const { store } = this.#context;
    if (store.chosenLayer >= store.layerCount - 1) store.chooseLayer(0);
    setText(this.#play, "❚❚");
    this.#play.setAttribute("aria-label", "Stop playing");
    this.#timer = setInterval(
      () => {
        if (store.chosenLayer >= store.layerCount - 1) this.#stop();
        else store.chooseLayer(store.chosenLayer + 1);
      },
      reducedMotion() ? PLAY_MS_REDUCED : PLAY_MS,
    );
  }

  #stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    setText(this.#play, "▶");
    this.#play.setAttribute("aria-label", "Play through the layers");
  }
}
