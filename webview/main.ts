import type {
  HostMessage,
  PanelRequests,
  PanelState,
  ReplyMessage,
  RunIdentity,
  SyncResult,
} from "../src/protocol/panel.ts";
import { CompareApp } from "./compare/compare-app.ts";
import type { Context } from "./context.ts";
import { unseen } from "./feed.ts";
import { FrameImages } from "./frame-images.ts";
import { HostLink, type WebviewApi } from "./host-link.ts";
import { Panel } from "./panel.ts";
import { type StandaloneRun, saveByDownload, standaloneRun } from "./standalone.ts";
import { Store } from "./store.ts";
import { readTheme } from "./theme.ts";

declare function acquireVsCodeApi(): WebviewApi;

/** When the script began, in milliseconds of the page. */
const SCRIPT_BEGAN = performance.now();

type Push = Exclude<HostMessage, ReplyMessage>;
type Link = HostLink<PanelRequests, Push, PanelState>;

/** Connects a store, a panel and the host; a new run replaces store and panel together. */
class App {
  readonly #root: HTMLElement;
  readonly #link: Link | null;
  readonly #standalone: StandaloneRun | null;
  #context: Context;
  #panel: Panel;
  #store: Store;
  #frames: Store["frames"] = [];
  #syncing = false;
  #syncAgain = false;
  /** Milliseconds of the page: it was built, and the first event came. */
  #builtAt = 0;
  #eventAt = 0;
  /** What the host keeps for a reload, as text. */
  #kept = "";

  constructor(root: HTMLElement) {
    this.#root = root;
    this.#standalone = standaloneRun();
    this.#link =
      this.#standalone === null
        ? new HostLink(acquireVsCodeApi(), (message: Push) => this.#onPush(message))
        : null;
    // Asked before anything is built: the host answers meanwhile.
    const answer = this.#link?.request("sync", { run: null, next: 0 });
    const made = this.#make(null);
    this.#store = made.store;
    this.#context = made.context;
    this.#panel = made.panel;
    this.#store.restore({ choices: this.#link?.restored().choices ?? {} });
    this.#builtAt = performance.now();
    if (this.#standalone !== null) this.#open(this.#standalone);
    else if (answer !== undefined) void this.#sync(answer);
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") void this.#sync();
    });
  }

  #make(identity: RunIdentity | null) {
    const store = new Store(() => this.#changed());
    const context: Context = {
      store,
      images: new FrameImages(),
      theme: readTheme(),
      identity,
      request: (name, params) => {
        if (this.#link !== null) return this.#link.request(name, params);
        return saveByDownload(name, params);
      },
      say: () => {},
      firstChart: () => this.#tellFirstChart(),
    };
    const panel = new Panel(this.#root, context);
    return { store, context, panel };
  }

  /** Shows a run from its first event on: in the panel as it was built, or, after another run, anew. */
  #start(identity: RunIdentity): void {
    const restored = this.#link?.restored() ?? {};
    if (this.#context.identity === null) {
      this.#context.identity = identity;
      this.#store.touch("run");
    } else {
      const made = this.#make(identity);
      this.#store = made.store;
      this.#context = made.context;
      this.#panel = made.panel;
      this.#frames = [];
    }
    if (restored.run === identity.id) this.#store.restore(restored);
    else this.#store.restore({ choices: restored.choices ?? {} });
  }

  #open(run: StandaloneRun): void {
    this.#start(run.identity);
    for (const event of run.events) this.#store.apply(event);
  }

  #changed(): void {
    // The first change can come while the constructor still runs.
    queueMicrotask(() => {
      this.#panel.schedule();
      if (this.#store.frames !== this.#frames) {
        this.#frames = this.#store.frames;
        const { store } = this;
        void this.#context.images.load(this.#frames, () => store.touch("frames"));
      }
      // Before the host has said which run this is, keeping would overwrite the state to restore.
      const { identity } = this.#context;
      if (identity !== null) this.#keep(this.#store.toState(identity.id));
    });
  }

  /** Every state kept is a message to the window: only one that differs is worth it. */
  #keep(state: PanelState): void {
    const text = JSON.stringify(state);
    if (text === this.#kept) return;
    this.#kept = text;
    this.#link?.keep(state);
  }

  get store(): Store {
    return this.#store;
  }

  #onPush(message: Push): void {
    if (message.kind === "run") {
      this.#start(message.run);
      void this.#sync();
      return;
    }
    if (message.kind === "reveal") {
      if (message.layer !== undefined) this.#store.chooseLayer(message.layer);
      this.#panel.reveal(message.view);
      return;
    }
    if (message.run !== this.#context.identity?.id) return;
    if (message.kind === "progress") this.#store.apply(message.event);
    else if (message.kind === "engine") this.#store.setEngine(message.state);
    else {
      this.#eventAt ||= performance.now();
      const events = unseen(message, this.#store.next);
      if (events === "gap") void this.#sync();
      else for (const event of events) this.#store.apply(event);
    }
  }

  /** Tells the host's log, where nobody waits for it. */
  #tellFirstChart(): void {
    const times = [SCRIPT_BEGAN, this.#builtAt, this.#eventAt, performance.now()];
    const [script = 0, built = 0, event = 0, chart = 0] = times.map(Math.round);
    this.#link?.request("firstChart", { script, built, event, chart }).catch(() => {});
  }

  /** Asks for what was missed; a wish that comes meanwhile is granted afterwards. */
  async #sync(asked?: Promise<SyncResult>): Promise<void> {
    if (this.#link === null) return;
    if (this.#syncing) {
      this.#syncAgain = true;
      return;
    }
    this.#syncing = true;
    try {
      const run = this.#context.identity?.id ?? null;
      const result = await (asked ?? this.#link.request("sync", { run, next: this.#store.next }));
      if (result.run.id !== this.#context.identity?.id) this.#start(result.run);
      else this.#context.identity = result.run;
      this.#store.setEngine(result.engine);
    } catch (error) {
      this.#context.say(error instanceof Error ? error.message : String(error));
    } finally {
      this.#syncing = false;
      if (this.#syncAgain) {
        this.#syncAgain = false;
        void this.#sync();
      }
    }
  }
}

const panel = document.getElementById("panel");
if (panel !== null) new App(panel);
const comparison = document.getElementById("compare");
if (comparison !== null) new CompareApp(comparison, acquireVsCodeApi());
