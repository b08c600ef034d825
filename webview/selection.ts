import type { RunTopic } from "../src/runs/state.ts";

/** What may have changed since a view last drew. */
export type Topic =
  | RunTopic
  | "progress"
  | "engine"
  | "comparison"
  | "selection"
  | "choices"
  | "theme";

/** What the pointer or the keyboard is on right now; null members mean nothing. */
export interface Hover {
  readonly layer: number | null;
  readonly token: number | null;
}

/** What is kept of a selection across reloads. */
export interface KeptSelection {
  readonly layer: number | null;
  readonly choices: Readonly<Record<string, string | number | boolean>>;
}

const NOTHING: Hover = { layer: null, token: null };

/**
 * What the user has chosen in a panel, and which topics changed since it was last drawn. Knows nothing
 * of the DOM.
 */
export abstract class Selection {
  layer: number | null = null;
  token: number | null = null;
  hover: Hover = NOTHING;
  readonly #choices = new Map<string, string | number | boolean>();
  readonly #changed = new Set<Topic>();
  readonly #notify: () => void;

  /** `notify` is called on the first change after each `takeChanges`. */
  constructor(notify: () => void = () => {}) {
    this.#notify = notify;
  }

  /** Layers to choose from, 0 before anything is known. */
  abstract get layerCount(): number;

  /** The layer that is chosen when nobody has chosen one: the last. */
  get chosenLayer(): number {
    return this.layer ?? Math.max(0, this.layerCount - 1);
  }

  /** The layer views show: the hovered one, else the chosen one. */
  get shownLayer(): number {
    return this.hover.layer ?? this.chosenLayer;
  }

  chooseLayer(layer: number | null): void {
    const last = this.layerCount - 1;
    const value = layer === null || last < 0 ? null : Math.min(Math.max(layer, 0), last);
    if (value === this.layer) return;
    this.layer = value;
    this.touch("selection");
  }

  chooseToken(token: number | null): void {
    if (token === this.token) return;
    this.token = token;
    this.touch("selection");
  }

  setHover(hover: Partial<Hover>): void {
    const next = { ...this.hover, ...hover };
    if (next.layer === this.hover.layer && next.token === this.hover.token) return;
    this.hover = next;
    this.touch("selection");
  }

  /** A view's small choice, kept across reloads; `fallback` fixes its type. */
  choice<T extends string | number | boolean>(key: string, fallback: T): T {
    const value = this.#choices.get(key);
    return typeof value === typeof fallback ? (value as T) : fallback;
  }

  choose(key: string, value: string | number | boolean): void {
    if (this.#choices.get(key) === value) return;
    this.#choices.set(key, value);
    this.touch("choices");
  }

  /** What is to be kept across reloads. */
  kept(): KeptSelection {
    return { layer: this.layer, choices: Object.fromEntries(this.#choices) };
  }

  /** Takes over a kept selection; anything malformed in it is left out. */
  restore(state: Partial<KeptSelection & { readonly token: number | null }>): void {
    if (Number.isSafeInteger(state.layer)) this.layer = state.layer ?? null;
    if (Number.isSafeInteger(state.token)) this.token = state.token ?? null;
    for (const [key, value] of Object.entries(state.choices ?? {})) {
      if (["string", "number", "boolean"].includes(typeof value)) this.#choices.set(key, value);
    }
    this.touch("selection");
  }

  /** The topics changed since the last call. */
  takeChanges(): ReadonlySet<Topic> {
    const changes = new Set(this.#changed);
    this.#changed.clear();
    return changes;
  }

  /** Marks a topic as changed. */
  touch(topic: Topic): void {
    const first = this.#changed.size === 0;
    this.#changed.add(topic);
    if (first) this.#notify();
  }
}
