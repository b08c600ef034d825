import type { ExperimentRequest, Observations } from "../../engine/jobs.ts";
import type { ProgressEvent, RunEvent, Tensor } from "../../runs/events.ts";

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

/**
 * Runs the handler of a request and returns the message to send back. Never rejects: a handler's
 * error, or an unknown request, becomes an error reply, so that the webview is not left waiting.
 */
export async function answerRequest<R extends RequestMap<R>>(
  message: RequestOf<R>,
  handlers: HandlersOf<R>,
): Promise<ReplyMessage> {
  try {
    if (!Object.hasOwn(handlers, message.name)) {
      throw new Error(`the panel asked for "${String(message.name)}", which is not known here`);
    }
    const handler = handlers[message.name] as (params: unknown) => unknown;
    return { kind: "reply", id: message.id, result: await handler(message.params) };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { kind: "error", id: message.id, message: text };
  }
}

/** Above this, a batch of events is closed: big enough to be few, small enough to draw between. */
const BATCH_BYTES = 2_000_000;
const BATCH_EVENTS = 500;

/** Splits events into `events` messages of bounded size; the first has index `from`. */
export function* eventBatches(
  run: string,
  events: readonly RunEvent[],
  from: number,
): Generator<HostMessage> {
  let batch: RunEvent[] = [];
  let start = from;
  let bytes = 0;
  for (const event of events) {
    batch.push(withOwnBuffers(event));
    bytes += weight(event);
    if (bytes >= BATCH_BYTES || batch.length >= BATCH_EVENTS) {
      yield { kind: "events", run, from: start, events: batch };
      start += batch.length;
      batch = [];
      bytes = 0;
    }
  }
  if (batch.length > 0) yield { kind: "events", run, from: start, events: batch };
}

/** The tensors an event carries. */
function tensorsOf(event: RunEvent): Tensor[] {
  if (event.type !== "layer.clean" && event.type !== "layer.branch") return [];
  const mass = event.type === "layer.clean" ? event.mass : undefined;
  const { lens, attention } = event;
  return [
    ...(mass === undefined ? [] : [mass.mass]),
    ...(lens === undefined ? [] : [lens.ids, lens.probabilities]),
    ...(attention === undefined ? [] : [attention.weights]),
  ];
}

/** Roughly how many bytes an event adds to a message. */
function weight(event: RunEvent): number {
  if (event.type === "video.frames") {
    return event.frames.reduce((sum, frame) => sum + frame.base64.length, 0);
  }
  return tensorsOf(event).reduce((sum, { data }) => sum + data.byteLength, 2_000);
}

/**
 * The same tensor over a buffer of exactly its size. A typed array in a message drags its whole
 * buffer along, which for a slice of a file read at once would be the file.
 */
function ownBuffer(tensor: Tensor): Tensor {
  if (tensor.data.byteLength === tensor.data.buffer.byteLength) return tensor;
  return { ...tensor, data: tensor.data.slice() };
}

/** An event whose tensors can be posted as they are (see `ownBuffer`). */
export function withOwnBuffers(event: RunEvent): RunEvent {
  if (tensorsOf(event).length === 0) return event;
  if (event.type !== "layer.clean" && event.type !== "layer.branch") return event;
  const { lens, attention } = event;
  const readings = {
    ...(lens === undefined
      ? {}
      : {
          lens: {
            ...lens,
            ids: ownBuffer(lens.ids),
            probabilities: ownBuffer(lens.probabilities),
          },
        }),
    ...(attention === undefined
      ? {}
      : { attention: { ...attention, weights: ownBuffer(attention.weights) } }),
  };
  if (event.type === "layer.branch" || event.mass === undefined) return { ...event, ...readings };
  return { ...event, ...readings, mass: { ...event.mass, mass: ownBuffer(event.mass.mass) } };
}

/** Id of the element that holds the run in an exported page (`standaloneHtml`). */
export const STANDALONE_RUN_ID = "flowprobe-run";

/** What `panelHtml` needs from the host. */
export interface PanelHtmlOptions {
  /** `webview.cspSource`. */
  readonly cspSource: string;
  /** Fresh random text for each load, letters and digits only. */
  readonly nonce: string;
  /** `dist/webview.js` and `dist/webview.css` as webview URIs. */
  readonly scriptUri: string;
  readonly styleUri: string;
  /** Which panel the script builds: its root element's id. Absent: the panel of one run. */
  readonly root?: "panel" | "compare";
}

/**
 * A panel's page. Content-security policy: nothing by default, our one script by nonce, style
 * sheets, pictures and the clip only from the extension's own resource source; frames arrive as bytes.
 * The controls' library makes one style element of its own, with the nonce it finds in a meta element.
 */
export function panelHtml({
  cspSource,
  nonce,
  scriptUri,
  styleUri,
  root = "panel",
}: PanelHtmlOptions): string {
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${cspSource} 'nonce-${nonce}'`,
    `font-src ${cspSource}`,
    `img-src ${cspSource} blob:`,
    `media-src ${cspSource}`,
  ].join("; ");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="${escapeAttribute(policy)}">
<meta property="csp-nonce" content="${escapeAttribute(nonce)}">
<meta name="viewport" content="width=device-width, initial-scale=1.0">
<title>Flowprobe</title>
<link rel="stylesheet" href="${escapeAttribute(styleUri)}">
</head>
<body>
<div id="${root}"></div>
<script nonce="${escapeAttribute(nonce)}" src="${escapeAttribute(scriptUri)}"></script>
</body>
</html>
`;
}

function escapeAttribute(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll('"', "&quot;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}
