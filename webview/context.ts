import type {
  PanelRequestName,
  PanelRequests,
  PanelView,
  RunIdentity,
} from "../src/host/panel/protocol.ts";
import type { FrameImages } from "./frame-images.ts";
import type { Section } from "./section.ts";
import type { Store, Topic } from "./store.ts";
import type { Theme } from "./theme.ts";

/** What every view works with. */
export interface Context {
  readonly store: Store;
  readonly images: FrameImages;
  /** The theme in force; read anew on the "theme" topic. */
  theme: Theme;
  /** The run shown, once the host (or the exported page) has said it. */
  identity: RunIdentity | null;
  /** Asks the host; in an exported page, only `save` works. */
  request<N extends PanelRequestName>(
    name: N,
    params: PanelRequests[N]["params"],
  ): Promise<PanelRequests[N]["result"]>;
  /** Shows a failure or a result in the header's live region. */
  say(message: string): void;
}

/** One view of the panel. */
export interface View {
  readonly id: PanelView;
  readonly section: Section;
  /** Whether the run holds, or could be asked for, anything to show. */
  available(): boolean;
  /** Draws what changed; called at most once a frame, and only while the view is on screen. */
  render(changed: ReadonlySet<Topic>): void;
}
