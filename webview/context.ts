import type {
  PanelRequestName,
  PanelRequests,
  RunIdentity,
  SaveRequest,
} from "../src/protocol/panel.ts";
import type { FrameImages } from "./frame-images.ts";
import type { Selection } from "./selection.ts";
import type { Store } from "./store.ts";
import type { Theme } from "./theme.ts";

/** What charts, sections and other parts work with, whatever the panel shows. */
export interface DrawContext {
  readonly store: Selection;
  /** The theme in force; read anew on the "theme" topic. */
  theme: Theme;
  /** What is shown, once it is known; the title is the stem of saved files' names. */
  readonly identity: { readonly title: string } | null;
  /** Asks the host to save a file. */
  request(name: "save", params: SaveRequest): Promise<{ saved: string | null }>;
  /** Shows a failure or a result in the header's live region. */
  say(message: string): void;
}

/** What every view of a run works with. */
export interface Context extends DrawContext {
  readonly store: Store;
  readonly images: FrameImages;
  /** Tells that the first chart shows something. */
  firstChart(): void;
  /** The run shown, once the host (or the exported page) has said it. */
  identity: RunIdentity | null;
  /** Asks the host; in an exported page, only `save` works. */
  request<N extends PanelRequestName>(
    name: N,
    params: PanelRequests[N]["params"],
  ): Promise<PanelRequests[N]["result"]>;
}
