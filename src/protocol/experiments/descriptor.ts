import type { PanelView } from "../panel.ts";
import type { PromptItem } from "../prompt-item.ts";
import type { ExperimentKind, RecipeOf, RequestOf } from "./schemas.ts";

/** What an experiment's parameters are chosen for. */
export interface Setting {
  readonly prompt: PromptItem;
  /** Decoder layers of the model, L. */
  readonly layers: number;
  /** Width of a knockout's window where none is chosen, in layers. */
  readonly window: number;
}

/** One value that a parameter can have. */
export interface Choice {
  /** As the flag takes it. */
  readonly value: string;
  /** As people read it. */
  readonly title: string;
}

/** How a parameter is chosen by hand: from a list, or as text. */
export type Input =
  | {
      readonly kind: "pick";
      choices(setting: Setting): readonly Choice[];
      /** Values that are picked to begin with, where they are not the initial ones. */
      readonly suggested?: readonly string[];
    }
  | { readonly kind: "text"; readonly prompt: string };

/**
 * A parameter of an experiment. Its values are texts, the same on the command line and in the
 * palette, and are read in one place.
 */
export interface Parameter<R> {
  /** The command line's flag, without the dashes. */
  readonly flag: string;
  /** What the flag takes, as the help shows it: "A-B". */
  readonly value: string;
  /** What it is, in a few words: the flag's help, and the question in the palette. */
  readonly title: string;
  /** Several values: the flag may be repeated, the palette's list takes several. */
  readonly many?: boolean;
  /** How the palette asks for it; absent: it does not, and takes the initial value. */
  readonly input?: Input | undefined;
  /** The values taken when none is given; none at all leaves the parameter out. */
  initial(setting: Setting): readonly string[];
  /**
   * What the values say of the request.
   *
   * @param soFar what the parameters before it said.
   * @throws InputError when they cannot be read; the message names the value and what is needed.
   */
  read(values: readonly string[], setting: Setting, soFar: Partial<R>): Partial<R>;
  /** Flags that cannot be given together with this one. */
  readonly excludes?: readonly string[];
  /** What whoever gave the values should know, in one sentence. */
  note?(values: readonly string[], setting: Setting): string | undefined;
}

/** How results are laid out as text and as a figure. */
export type ResultLayout =
  /** A series a row, window centres as columns. */
  | "series-by-layer"
  /** A head a row, window centres as columns. */
  | "head-by-layer"
  /** A frame that reads a row, frames that are read as columns. */
  | "frame-by-frame"
  /** A line a result, with the edges left. */
  | "edges-left"
  /** A line a result. */
  | "list"
  /** Texts. */
  | "generation";

/** Everything about a kind of experiment but how it is computed (`src/engine/experiments`). */
export interface ExperimentDescriptor<K extends ExperimentKind = ExperimentKind> {
  readonly kind: K;
  /** Name of its command in the palette, and of its view's entry. */
  readonly title: string;
  /** Name of its command on the command line. */
  readonly command: string;
  /** Flag that chooses it where several kinds share a command: `pathways --find`. */
  readonly commandFlag?: string;
  /** Last part of its command's id in VS Code: `flowprobe.<id>`. */
  readonly commandId: string;
  /** What it does, in a few words. */
  readonly summary: string;
  /** What it does, in one or two sentences. */
  readonly about: string;
  readonly parameters: readonly Parameter<RequestOf<K>>[];
  readonly layout: ResultLayout;
  /** The panel's view that shows its results. */
  readonly view: PanelView;
  /** What the question must have for it; absent: any question will do. */
  readonly needs?: "keywords";
  /**
   * The request as it stands in the run file, as far as it is known before the model is asked.
   * Two experiments are the same when these agree.
   *
   * @param layers L of the model.
   */
  recipe(request: RequestOf<K>, layers: number): Partial<RecipeOf<K>>;
  /** The recipe as short phrases for a figure's caption: "window 9 layers". */
  phrases(recipe: RecipeOf<K>): readonly string[];
  /** A short name that tells it from others of its kind: "center, w 9". */
  variant(recipe: RecipeOf<K>): string;
}
