import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import type { ProgressEvent } from "../../protocol/events.ts";
import type {
  HostMessage,
  PanelView,
  RequestHandlers,
  RunIdentity,
  WebviewMessage,
} from "../../protocol/panel.ts";
import type { Consent } from "../engine/consent.ts";
import type { EngineTask, Experimenter } from "../engine/experimenter.ts";
import type { RunSession, SessionChange } from "../runs/session.ts";
import { answerRequest } from "./answer-request.ts";
import { playableClip } from "./clip.ts";
import { eventBatches } from "./event-batches.ts";
import { exportRun, saveExport } from "./exports.ts";
import { panelHtml } from "./page-html.ts";

/** Live events are posted this often at most: few messages, no visible delay. */
const GATHER_MS = 30;

/** What a panel needs from the rest of the extension. */
export interface PanelServices {
  readonly extensionUri: vscode.Uri;
  readonly engine: Experimenter;
  readonly consent: Consent;
  showLog(): void;
  /** Takes a line for the log. */
  log(line: string): void;
}

/**
 * Shows one run in one webview, whichever tab the webview sits in. The webview asks for events by
 * index (`sync`) when it loads or comes back into sight; from then on new ones are pushed. What is
 * posted to a hidden webview is lost, and that is fine: it asks again.
 */
export class PanelController implements vscode.Disposable {
  readonly #disposables: vscode.Disposable[] = [];
  readonly #identity: RunIdentity;
  /** Index of the next event to post; null until the webview has asked. */
  #next: number | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** When events were posted last, as `performance.now()` gives it. */
  #postedAt = Number.NEGATIVE_INFINITY;
  /** The latest progress that has not been posted. */
  #progress: ProgressEvent | undefined;
  /** View to scroll to once the webview is there. */
  #reveal: HostMessage | undefined;

  constructor(
    private readonly webview: vscode.Webview,
    readonly session: RunSession,
    private readonly services: PanelServices,
  ) {
    const dist = vscode.Uri.joinPath(services.extensionUri, "dist");
    const clip = playableClip(session);
    webview.options = {
      enableScripts: true,
      localResourceRoots: [dist, ...(clip === null ? [] : [vscode.Uri.joinPath(clip, "..")])],
    };
    this.#identity = {
      id: session.id,
      title: session.title,
      videoUri: clip === null ? null : webview.asWebviewUri(clip).toString(),
      readOnly: services.engine.refusal(session),
    };
    this.#disposables.push(
      webview.onDidReceiveMessage((message: WebviewMessage) => this.#receive(message)),
      new vscode.Disposable(session.listen((change) => this.#follow(change))),
      new vscode.Disposable(() => clearTimeout(this.#timer)),
    );
    webview.html = panelHtml({
      cspSource: webview.cspSource,
      nonce: randomBytes(24).toString("hex"),
      scriptUri: webview.asWebviewUri(vscode.Uri.joinPath(dist, "webview.js")).toString(),
      styleUri: webview.asWebviewUri(vscode.Uri.joinPath(dist, "webview.css")).toString(),
    });
    session.timeline?.reach("panel");
  }

  /** Scrolls the panel to a view, now or as soon as it is loaded. */
  reveal(view: PanelView, layer?: number): void {
    const message: HostMessage = {
      kind: "reveal",
      view,
      ...(layer === undefined ? {} : { layer }),
    };
    if (this.#next === null) this.#reveal = message;
    else this.#post(message);
  }

  dispose(): void {
    vscode.Disposable.from(...this.#disposables).dispose();
  }

  readonly #handlers: RequestHandlers = {
    sync: ({ run, next }) => {
      this.session.timeline?.reach("panel asks");
      const total = this.session.events.length;
      this.#next = run === this.session.id ? Math.min(Math.max(0, next), total) : 0;
      return { run: this.#identity, total, engine: this.session.engine };
    },
    cancel: () => {
      this.services.engine.cancel(this.session);
      return null;
    },
    experiment: ({ request }) => this.#submit({ kind: "experiment", request }),
    observe: ({ observations }) => this.#submit({ kind: "observe", observations }),
    firstChart: (page) => {
      const { timeline, title } = this.session;
      if (timeline !== undefined && timeline.at("chart") === undefined) {
        timeline.reach("chart");
        const { script, built, event, chart } = page;
        const times = [`script ${script}`, `built ${built}`, `event ${event}`, `chart ${chart}`];
        this.services.log(`${title}: ${timeline}; in the panel ${times.join(", ")} ms`);
      }
      return null;
    },
    restartEngine: async () => {
      await this.services.consent.require(this.session);
      void this.services.engine.retry(this.session);
      return null;
    },
    showLog: () => {
      this.services.showLog();
      return null;
    },
    save: (request) => saveExport(this.session, request),
    exportRun: ({ format }) => exportRun(this.session, format, this.services.extensionUri),
  };

  /** Queues a task; refuses at once, and otherwise tells how it ends by events. */
  async #submit(task: EngineTask): Promise<null> {
    await this.services.consent.require(this.session);
    void this.services.engine.submit(this.session, task);
    return null;
  }

  async #receive(message: WebviewMessage): Promise<void> {
    const reply = await answerRequest(message, this.#handlers);
    this.#post(reply);
    if (message.name !== "sync") return;
    // The reply goes first: it tells the webview which run the events belong to.
    this.#flush();
    if (this.#reveal !== undefined) this.#post(this.#reveal);
    this.#reveal = undefined;
  }

  #follow(change: SessionChange): void {
    const run = this.session.id;
    if (change.kind === "engine") {
      this.#post({ kind: "engine", run, state: change.state });
      return;
    }
    if (change.kind === "progress") this.#progress = change.event;
    // What comes after a pause goes at once, with what comes in the same turn.
    const wait = Math.max(0, this.#postedAt + GATHER_MS - performance.now());
    this.#timer ??= setTimeout(() => this.#flush(), wait);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#next === null) return;
    this.#postedAt = performance.now();
    const progress = this.#progress;
    this.#progress = undefined;
    // Before the events: the end of a run, among them, takes the progress away.
    if (progress !== undefined) {
      this.#post({ kind: "progress", run: this.session.id, event: progress });
    }
    const from = this.#next;
    const events = this.session.events.slice(from);
    this.#next = from + events.length;
    for (const batch of eventBatches(this.session.id, events, from)) this.#post(batch);
  }

  #post(message: HostMessage): void {
    // A webview that is gone or hidden does not take messages; it syncs when it is back.
    this.webview.postMessage(message).then(undefined, () => {});
  }
}
