import { answerRequest } from "../../src/host/panel/answer-request.ts";
import { eventBatches } from "../../src/host/panel/event-batches.ts";
import type { ProgressEvent, RunEvent } from "../../src/protocol/events.ts";
import type {
  HostMessage,
  PanelRequestName,
  PanelRequests,
  RequestMessage,
  RunIdentity,
} from "../../src/protocol/panel.ts";
import { FakeWindow, install } from "./fake-window.ts";
import { syntheticExperiment } from "./synthetic-experiment.ts";
import { type SyntheticOptions, syntheticRun } from "./synthetic-run.ts";

/**
 * Stands for the extension host inside the page: gives it `acquireVsCodeApi`, holds a run's events and
 * answers requests through the same protocol helpers as the real host. Bundled and put into the page
 * before its own script; tests steer it as `window.fakeHost`.
 */
export class FakeHost extends FakeWindow {
  identity: RunIdentity = {
    id: "file:///runs/synthetic.flow.jsonl",
    title: "synthetic",
    videoUri: null,
    readOnly: null,
  };
  /** Events the host holds; the panel has seen those that were pushed or synced. */
  readonly events: RunEvent[] = [];
  readonly requests: { name: PanelRequestName; params: unknown }[] = [];
  /** A hidden webview loses its messages. */
  deaf = false;
  /** Requests that fail, with their messages. */
  readonly failing = new Map<string, string>();
  state: unknown;
  saved: { name: string; data: string | ArrayBuffer } | null = null;

  synthetic(options: SyntheticOptions): RunEvent[] {
    return syntheticRun(options);
  }

  /** Appends events and pushes them, as the host does for a live run. */
  emit(events: readonly RunEvent[]): void {
    const from = this.events.length;
    this.events.push(...events);
    for (const message of eventBatches(this.identity.id, events, from)) this.post(message);
  }

  /** Holds events without pushing them: they are found by the next sync. */
  hold(events: readonly RunEvent[]): void {
    this.events.push(...events);
  }

  progress(event: ProgressEvent): void {
    this.post({ kind: "progress", run: this.identity.id, event });
  }

  post(message: HostMessage): void {
    if (!this.deaf) window.postMessage(message, "*");
  }

  #experiments = 0;

  async receive(message: RequestMessage): Promise<void> {
    this.requests.push({ name: message.name, params: message.params });
    const guard = (name: PanelRequestName) => {
      const failure = this.failing.get(name);
      if (failure !== undefined) throw new Error(failure);
      return null;
    };
    const reply = await answerRequest<PanelRequests>(message, {
      sync: ({ run, next }) => {
        const from = run === this.identity.id ? next : 0;
        const missed = this.events.slice(from);
        setTimeout(() => {
          for (const batch of eventBatches(this.identity.id, missed, from)) this.post(batch);
        });
        return { run: this.identity, total: this.events.length, engine: { kind: "idle" } };
      },
      cancel: () => guard("cancel"),
      experiment: ({ request }) => {
        guard("experiment");
        const started = this.events.find((event) => event.type === "run.started");
        const answer = this.events.find((event) => event.type === "answer");
        if (started === undefined || answer === undefined) throw new Error("the run has no answer");
        const layers = this.events.filter((event) => event.type === "layer.clean");
        this.#experiments += 1;
        const name = `${request.kind}-${this.#experiments + 1}`;
        this.emit(syntheticExperiment(request, name, { started, answer, layers }));
        return null;
      },
      observe: () => guard("observe"),
      firstChart: () => guard("firstChart"),
      restartEngine: () => guard("restartEngine"),
      showLog: () => guard("showLog"),
      save: (params) => {
        guard("save");
        this.saved = { name: params.name, data: params.data };
        return { saved: params.name };
      },
      exportRun: () => {
        guard("exportRun");
        return { saved: "synthetic.html" };
      },
    });
    this.post(reply);
  }
}

declare global {
  interface Window {
    fakeHost: FakeHost;
  }
}

window.fakeHost = new FakeHost();
install(window.fakeHost);
