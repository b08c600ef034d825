import { answerRequest } from "../../src/host/panel/answer-request.ts";
import type { RunEvent } from "../../src/protocol/events.ts";
import { runFacts } from "../../src/runs/comparison/facts.ts";
import type {
  ComparedRun,
  CompareHostMessage,
  CompareRequestMessage,
  CompareRequests,
} from "../../src/runs/comparison/panel-protocol.ts";
import { FakeWindow, install } from "./fake-window.ts";
import { type SyntheticOptions, syntheticRun } from "./synthetic-run.ts";

/** Stands for the extension host inside the page of a comparison; tests steer it as `compareHost`. */
export class CompareHost extends FakeWindow {
  readonly runs: ComparedRun[] = [];
  readonly requests: { name: keyof CompareRequests; params: unknown }[] = [];
  /** Requests that fail, with their messages. */
  readonly failing = new Map<string, string>();
  state: unknown;
  saved: { name: string; data: string | ArrayBuffer } | null = null;

  synthetic(options: SyntheticOptions): RunEvent[] {
    return syntheticRun(options);
  }

  /** Adds a run, or replaces it, and tells the page. */
  put(name: string, events: readonly RunEvent[], more: Partial<ComparedRun> = {}): void {
    const id = `file:///runs/${name}.flow.jsonl`;
    const run: ComparedRun = {
      id,
      title: name,
      facts: runFacts(events),
      problem: null,
      frames: events.findLast((event) => event.type === "video.frames")?.frames ?? [],
      refusal: null,
      engine: { kind: "idle" },
      ...more,
    };
    const at = this.runs.findIndex((known) => known.id === id);
    if (at < 0) this.runs.push(run);
    else this.runs[at] = run;
    this.post({ kind: "compared", run });
  }

  post(message: CompareHostMessage): void {
    // A real webview gets its messages as JSON: nothing but plain data arrives.
    window.postMessage(JSON.parse(JSON.stringify(message)), "*");
  }

  async receive(message: CompareRequestMessage): Promise<void> {
    this.requests.push({ name: message.name, params: message.params });
    const guard = (name: keyof CompareRequests) => {
      const failure = this.failing.get(name);
      if (failure !== undefined) throw new Error(failure);
      return null;
    };
    const reply = await answerRequest<CompareRequests>(message, {
      sync: () => ({ runs: this.runs }),
      open: () => guard("open"),
      measure: () => guard("measure"),
      save: (params) => {
        guard("save");
        this.saved = { name: params.name, data: params.data };
        return { saved: params.name };
      },
    });
    this.post(reply);
  }
}

declare global {
  interface Window {
    compareHost: CompareHost;
  }
}

window.compareHost = new CompareHost();
install(window.compareHost);
