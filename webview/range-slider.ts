import type { LayerRange } from "../src/protocol/experiments/schemas.ts";
import { checkbox } from "./controls.ts";
import { el, layerRange, setText } from "./dom.ts";

/**
 * A range of layers set by two thumbs, 1-based on screen. With a box to tick the range can be none
 * (null); without, there always is one.
 */
export class RangeSlider {
  readonly element: HTMLElement;
  readonly #low: HTMLInputElement;
  readonly #high: HTMLInputElement;
  readonly #bar = el("span", { class: "range-bar", "aria-hidden": "true" });
  readonly #text = el("output", { class: "range-text" });
  readonly #box;
  readonly #onChange: (range: LayerRange | null) => void;
  #on = true;
  #layers = 0;

  constructor(
    label: string,
    onChange: (range: LayerRange | null) => void,
    { optional = false }: { optional?: boolean } = {},
  ) {
    this.#onChange = onChange;
    const thumb = (which: string) =>
      el("input", {
        type: "range",
        min: 1,
        max: 1,
        step: 1,
        "aria-label": `${label}, layers: ${which}`,
      });
    this.#low = thumb("first");
    this.#high = thumb("last");
    this.#box = checkbox(label, true, (on) => {
      this.#on = on;
      this.#report();
    });
    for (const input of [this.#low, this.#high]) {
      input.addEventListener("input", () => {
        // The thumb that moves stops at the other one.
        if (this.#low.valueAsNumber > this.#high.valueAsNumber) {
          if (input === this.#low) this.#low.valueAsNumber = this.#high.valueAsNumber;
          else this.#high.valueAsNumber = this.#low.valueAsNumber;
        }
        this.#on = true;
        this.#box.set(true);
        this.#report();
      });
    }
    this.element = el(
      "div",
      { class: "range-row" },
      optional ? this.#box.element : el("span", { class: "range-label" }, label),
      el("div", { class: "range" }, this.#bar, this.#low, this.#high),
      this.#text,
    );
  }

  setLayers(layers: number): void {
    if (layers === this.#layers) return;
    this.#layers = layers;
    for (const input of [this.#low, this.#high]) input.max = String(Math.max(1, layers));
    this.set([0, Math.max(0, layers - 1)]);
  }

  /** Shows a range (0-based, inclusive) without reporting it. */
  set(range: LayerRange | null): void {
    this.#on = range !== null;
    this.#box.set(this.#on);
    if (range !== null) {
      this.#low.valueAsNumber = range[0] + 1;
      this.#high.valueAsNumber = range[1] + 1;
    }
    this.#show();
  }

  setEnabled(enabled: boolean): void {
    this.#low.disabled = !enabled;
    this.#high.disabled = !enabled;
    this.element.classList.toggle("disabled", !enabled);
  }

  get value(): LayerRange | null {
    return this.#on ? [this.#low.valueAsNumber - 1, this.#high.valueAsNumber - 1] : null;
  }

  #report(): void {
    this.#show();
    this.#onChange(this.value);
  }

  #show(): void {
    const [low, high] = [this.#low.valueAsNumber, this.#high.valueAsNumber];
    const span = Math.max(1, this.#layers - 1);
    this.#bar.style.left = `${((low - 1) / span) * 100}%`;
    this.#bar.style.right = `${100 - ((high - 1) / span) * 100}%`;
    this.element.classList.toggle("off", !this.#on);
    setText(this.#text, this.#on ? layerRange([low - 1, high]) : "none");
  }
}
