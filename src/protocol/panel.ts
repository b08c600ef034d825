import type { ProgressEvent, RunEvent } from "./events.ts";
import type { ExperimentRequest, Observations } from "./experiments/schemas.ts";

/**
 * Every message between the extension host and the panel's webview. Requests go from the webview to
 * the host and always get exactly one reply, a result or an error; the host pushes events and states
 * without being asked. Pure: no `vscode`, no DOM, so both ends and the tests share it.
 */

/** The panel's views, in the order in which they are shown; `reveal` scrolls to one. */
export const PANEL_VIEWS = [
  "video",
  "prompt",
  "answer",
  "knockout",
  "lens",
  "attention",
  "flow-map",
  "pathways",
  "what-if",
  "generation",
] as const;
export type PanelView = (typeof PANEL_VIEWS)[number];

/** Kept by the webview with `setState`; the host's panel serializer gets it back after a reload. */
export interface PanelState {
  readonly version: 1;
  /** `RunIdentity.id` of the run shown: enough for the host to open it again. */
  readonly run: string | null;
  /** Chosen layer, 0-based. */
  readonly layer: number | null;
  /** Chosen position of the prompt. */
  readonly token: number | null;
  /** Small per-view choices (switches, chosen series), by view. */
  readonly choices: Readonly<Record<string, string | number | boolean>>;
}

/** Which run a panel shows, and what can be done with it. */
export interface RunIdentity {
  /** Stable across reloads: the run file's URI as text. */
  readonly id: string;
  /** Shown in titles and as the stem of exported files' names. */
  readonly title: string;
  /** The clip as a webview URI, or null when it cannot be reached or must not be played. */
  readonly videoUri: string | null;
  /** Null when experiments can be asked for; otherwise why not, in one sentence. */
  readonly readOnly: string | null;
}

/** What the engine is doing for this run. */
export type EngineState =
  | { readonly kind: "idle" }
  | { readonly kind: "queued"; readonly ahead: number }
  | { readonly kind: "running" }
  /** The engine process ended by itself: the panel offers "Restart" and "Show Log". */
  | { readonly kind: "died"; readonly message: string };

/** Requests of the webview by name: parameters and result. */
export interface PanelRequests {
  /**
   * Sent after loading, when the panel becomes visible again, and when a gap in the events is seen.
   * The host replies, then pushes `events` messages from `next` on (from 0 when `run` is not the
   * run it shows).
   */
  sync: { params: { run: string | null; next: number }; result: SyncResult };
  /** Stops the work of this run. */
  cancel: { params: Record<string, never>; result: null };
  /** Starts one more experiment on this run; its events follow as usual. */
  experiment: { params: { request: ExperimentRequest }; result: null };
  /** Asks for costly observations of the clean pass; they come as further `layer.clean` events. */
  observe: { params: { observations: Observations }; result: null };
  /** Tells that the first chart of a run was drawn: for the engine log. */
  firstChart: { params: PageTimes; result: null };
  restartEngine: { params: Record<string, never>; result: null };
  showLog: { params: Record<string, never>; result: null };
  /** Saves one exported file; `saved` is null when the user closed the dialog. */
  save: { params: SaveRequest; result: { saved: string | null } };
  /** Exports the whole run; the host writes it (`html`: see `standaloneHtml`). */
  exportRun: {
    params: { format: "html" | "json" | "records" };
    result: { saved: string | null };
  };
}
export type PanelRequestName = keyof PanelRequests;

/** Milliseconds from the beginning of a panel's page. */
export interface PageTimes {
  /** Its script began, and had built the page. */
  readonly script: number;
  readonly built: number;
  /** The first event came, and the first chart was drawn. */
  readonly event: number;
  readonly chart: number;
}

export interface SyncResult {
  readonly run: RunIdentity;
  /** How many indexed events the host holds now. */
  readonly total: number;
  readonly engine: EngineState;
}

/** One exported chart, or its figures. */
export interface SaveRequest {
  readonly format: "png" | "svg" | "csv" | "json";
  /** Suggested file name, extension included. */
  readonly name: string;
  /** Text, or bytes for png. */
  readonly data: string | ArrayBuffer;
}

/** Requests by name, as a type: `PanelRequests`, and those of the other panels. */
export type RequestMap<R> = {
  readonly [N in keyof R]: { readonly params: unknown; readonly result: unknown };
};

/** Webview → host: one of a panel's requests. */
export type RequestOf<R extends RequestMap<R>> = {
  [N in keyof R & string]: {
    readonly kind: "request";
    readonly id: number;
    readonly name: N;
    readonly params: R[N]["params"];
  };
}[keyof R & string];
export type RequestMessage = RequestOf<PanelRequests>;
export type WebviewMessage = RequestMessage;

/** Host → webview: the one answer to a request. */
export type ReplyMessage =
  | { readonly kind: "reply"; readonly id: number; readonly result: unknown }
  | { readonly kind: "error"; readonly id: number; readonly message: string };

/** Host → webview. */
export type HostMessage =
  | ReplyMessage
  /** Events `from`, `from + 1`, … of run `run`. Progress is never among them. */
  | {
      readonly kind: "events";
      readonly run: string;
      readonly from: number;
      readonly events: readonly RunEvent[];
    }
  /** Progress has no index: only its latest state matters, and a hidden panel may miss it. */
  | { readonly kind: "progress"; readonly run: string; readonly event: ProgressEvent }
  | { readonly kind: "engine"; readonly run: string; readonly state: EngineState }
  /** Another run is shown in this panel from now on: the webview drops its own and syncs. */
  | { readonly kind: "run"; readonly run: RunIdentity }
  /** Scrolls to a view, and chooses a layer (0-based) when one is given. */
  | { readonly kind: "reveal"; readonly view: PanelView; readonly layer?: number };

/** Handlers of all of a panel's requests: forgetting one is a compile error. */
export type HandlersOf<R extends RequestMap<R>> = {
  [N in keyof R]: (params: R[N]["params"]) => Promise<R[N]["result"]> | R[N]["result"];
};
export type RequestHandlers = HandlersOf<PanelRequests>;

/** Id of the element that holds the run in an exported page (`standaloneHtml`). */
export const STANDALONE_RUN_ID = "flowprobe-run";
