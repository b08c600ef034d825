import type {
  ComparedRun,
  ComparePush,
  CompareRequests,
  CompareState,
} from "../../src/runs/comparison/panel-protocol.ts";
import { FrameImages } from "../frame-images.ts";
import { HostLink, type WebviewApi } from "../host-link.ts";
import { readTheme } from "../theme.ts";
import type { CompareContext } from "./compare-context.ts";
import { ComparePanel } from "./compare-panel.ts";
import { CompareStore } from "./compare-store.ts";

/** Connects a comparison's store, its page and the host. */
export class CompareApp {
  readonly #link: HostLink<CompareRequests, ComparePush, CompareState>;
  readonly #store: CompareStore;
  readonly #panel: ComparePanel;
  readonly #pictures = new Map<string, FrameImages>();
  readonly #decoded = new Map<string, string>();
  #synced = false;

  constructor(root: HTMLElement, api: WebviewApi) {
    this.#link = new HostLink(api, (message: ComparePush) => this.#onPush(message));
    this.#store = new CompareStore(() => this.#changed());
    this.#store.restore(this.#link.restored());
    const context: CompareContext = {
      store: this.#store,
      theme: readTheme(),
      identity: { title: "comparison" },
      pictures: (run) => this.#picturesOf(run),
      request: (name, params) => this.#link.request(name, params),
      say: () => {},
    };
    this.#panel = new ComparePanel(root, context);
    void this.#sync((message) => context.say(message));
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") void this.#sync((text) => context.say(text));
    });
  }

  #changed(): void {
    // The first change can come while the constructor still runs.
    queueMicrotask(() => {
      this.#panel.schedule();
      // Before the host has said which runs these are, keeping would overwrite their order.
      if (this.#synced) this.#link.keep(this.#store.toState());
    });
  }

  async #sync(say: (message: string) => void): Promise<void> {
    try {
      const { runs } = await this.#link.request("sync", {});
      this.#synced = true;
      this.#put(runs);
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
    }
  }

  #onPush(message: ComparePush): void {
    // What comes before the first answer is in that answer.
    if (!this.#synced) return;
    if (message.kind === "compared") {
      this.#put([message.run]);
      return;
    }
    const run = this.#store.runs.find(({ id }) => id === message.run);
    if (run !== undefined) this.#store.put([{ ...run, engine: message.state }]);
  }

  #put(runs: readonly ComparedRun[]): void {
    this.#store.put(runs);
    for (const { id, frames } of runs) {
      const key = `${frames.length}/${frames[0]?.base64.length ?? 0}`;
      if (this.#decoded.get(id) === key) continue;
      this.#decoded.set(id, key);
      void this.#picturesOf(id).load(frames, () => this.#store.touch("frames"));
    }
  }

  #picturesOf(run: string): FrameImages {
    const known = this.#pictures.get(run) ?? new FrameImages();
    this.#pictures.set(run, known);
    return known;
  }
}
