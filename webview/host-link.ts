import type {
  HostMessage,
  PanelRequestName,
  PanelRequests,
  PanelState,
  RequestMessage,
} from "../src/host/panel/protocol.ts";

/** What VS Code gives a webview. */
export interface WebviewApi {
  postMessage(message: RequestMessage): void;
  getState(): unknown;
  setState(state: PanelState): void;
}

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

/** Requests with reply ids: every one is settled by the host's reply or error. */
export class HostLink {
  readonly #api: WebviewApi;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  /** `onPush` gets the messages that answer no request. */
  constructor(
    api: WebviewApi,
    onPush: (message: Exclude<HostMessage, { kind: "reply" | "error" }>) => void,
  ) {
    this.#api = api;
    window.addEventListener("message", (event: MessageEvent<HostMessage>) => {
      const message = event.data;
      if (message?.kind !== "reply" && message?.kind !== "error") {
        if (message?.kind !== undefined) onPush(message);
        return;
      }
      const waiting = this.#waiting.get(message.id);
      if (waiting === undefined) return;
      this.#waiting.delete(message.id);
      if (message.kind === "reply") waiting.resolve(message.result as never);
      else waiting.reject(new Error(message.message));
    });
  }

  /** Sends a request; rejects with the host's message when it fails there. */
  request<N extends PanelRequestName>(
    name: N,
    params: PanelRequests[N]["params"],
  ): Promise<PanelRequests[N]["result"]> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#api.postMessage({ kind: "request", id, name, params } as RequestMessage);
    });
  }

  /** The state kept before a reload, if it is one of ours. */
  restored(): Partial<PanelState> {
    const state = this.#api.getState() as Partial<PanelState> | null | undefined;
    return state?.version === 1 ? state : {};
  }

  keep(state: PanelState): void {
    this.#api.setState(state);
  }
}
