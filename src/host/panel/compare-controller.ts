import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import type { HandlersOf } from "../../protocol/panel.ts";
import { runFacts } from "../../runs/comparison/facts.ts";
import type {
  ComparedRun,
  CompareHostMessage,
  CompareRequestMessage,
  CompareRequests,
} from "../../runs/comparison/panel-protocol.ts";
import { runTitle } from "../../runs/names.ts";
import type { RunSession, SessionChange } from "../runs/session.ts";
import { answerRequest } from "./answer-request.ts";
import type { PanelServices } from "./controller.ts";
import { saveExport } from "./exports.ts";
import { panelHtml } from "./page-html.ts";

/** A run that is being measured changes often: the comparison follows at this pace. */
const GATHER_MS = 300;

/** A run of a comparison: its session, or why its file holds none. */
export interface ComparedFile {
  readonly uri: vscode.Uri;
  readonly content: RunSession | Error;
}

/** Shows a comparison of runs in a webview: their facts, sent anew whenever their events change. */
export class CompareController implements vscode.Disposable {
  readonly #disposables: vscode.Disposable[] = [];
  readonly #timers = new Map<RunSession, NodeJS.Timeout>();

  /** `open` shows one run in a panel of its own. */
  constructor(
    private readonly webview: vscode.Webview,
    private readonly files: readonly ComparedFile[],
    private readonly services: PanelServices,
    private readonly open: (uri: vscode.Uri) => Promise<void>,
  ) {
    const dist = vscode.Uri.joinPath(services.extensionUri, "dist");
    webview.options = { enableScripts: true, localResourceRoots: [dist] };
    this.#disposables.push(
      webview.onDidReceiveMessage(async (message: CompareRequestMessage) => {
        this.#post(await answerRequest<CompareRequests>(message, this.#handlers));
      }),
      new vscode.Disposable(() => {
        for (const timer of this.#timers.values()) clearTimeout(timer);
      }),
    );
    for (const file of files) {
      const { content } = file;
      if (content instanceof Error) continue;
      const end = content.listen((change) => this.#follow(file, content, change));
      this.#disposables.push(new vscode.Disposable(end));
    }
    webview.html = panelHtml({
      cspSource: webview.cspSource,
      nonce: randomBytes(24).toString("hex"),
      scriptUri: webview.asWebviewUri(vscode.Uri.joinPath(dist, "webview.js")).toString(),
      styleUri: webview.asWebviewUri(vscode.Uri.joinPath(dist, "webview.css")).toString(),
      root: "compare",
    });
  }

  dispose(): void {
    vscode.Disposable.from(...this.#disposables).dispose();
  }

  readonly #handlers: HandlersOf<CompareRequests> = {
    sync: () => ({ runs: this.files.map((file) => this.#compared(file)) }),
    open: async ({ run }) => {
      await this.open(this.#file(run).uri);
      return null;
    },
    measure: async ({ run, task }) => {
      const { content } = this.#file(run);
      if (content instanceof Error) throw content;
      await this.services.consent.require(content);
      void this.services.engine.submit(content, task);
      return null;
    },
    save: (request) => saveExport({ file: this.files[0]?.uri.fsPath ?? "" }, request),
  };

  /** The file of a run that the webview names; it may name those of this comparison only. */
  #file(run: string): ComparedFile {
    const file = this.files.find(({ uri }) => uri.toString() === run);
    if (file === undefined) throw new Error(`${run} is not among the runs compared`);
    return file;
  }

  #compared({ uri, content }: ComparedFile): ComparedRun {
    const common = { id: uri.toString(), title: runTitle(uri.fsPath) };
    if (content instanceof Error) {
      return {
        ...common,
        facts: null,
        problem: content.message,
        frames: [],
        refusal: null,
        engine: { kind: "idle" },
      };
    }
    return {
      ...common,
      facts: runFacts(content.events),
      problem: null,
      frames: content.last("video.frames")?.frames ?? [],
      refusal: this.services.engine.refusal(content),
      engine: content.engine,
    };
  }

  #follow(file: ComparedFile, session: RunSession, change: SessionChange): void {
    if (change.kind === "progress") return;
    if (change.kind === "engine") {
      this.#post({ kind: "compared-engine", run: file.uri.toString(), state: change.state });
      return;
    }
    if (this.#timers.has(session)) return;
    const send = () => {
      this.#timers.delete(session);
      this.#post({ kind: "compared", run: this.#compared(file) });
    };
    this.#timers.set(session, setTimeout(send, GATHER_MS));
  }

  #post(message: CompareHostMessage): void {
    // A webview that is gone or hidden does not take messages; it syncs when it is back.
    this.webview.postMessage(message).then(undefined, () => {});
  }
}
