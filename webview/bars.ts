import { el, percent } from "./dom.ts";

export interface Bar {
  readonly name: string;
  /** Share of 1, or null while unknown. */
  readonly value: number | null;
  readonly slot: number;
}

/** Bars span 0 … 100 %, unless all are smaller than this: then the largest fills the track. */
const FULL_SCALE_FROM = 0.25;

/** Labelled bars of probabilities on a common scale; readable as a list. */
export function bars(list: readonly Bar[], label: string): HTMLElement {
  const largest = Math.max(...list.map(({ value }) => value ?? 0));
  const scale = largest > FULL_SCALE_FROM || largest === 0 ? 1 : largest;
  return el(
    "ul",
    { class: "bars", "aria-label": label },
    ...list.map(({ name, value, slot }) => {
      const fillBar = el("span", { class: `bar s${slot + 1}`, "aria-hidden": "true" });
      fillBar.style.transform = `scaleX(${Math.min(1, Math.max(0, (value ?? 0) / scale))})`;
      return el(
        "li",
        { class: "bar-row" },
        el("span", { class: "name" }, name),
        el("span", { class: "track" }, fillBar),
        el("span", { class: "value" }, value === null ? "–" : percent(value)),
      );
    }),
  );
}
