import type { ReplyMessage, RequestMap, RequestOf } from "../src/protocol/panel.ts";

/** What VS Code gives a webview. */
export interface WebviewApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A panel's requests with reply ids: every one is settled by the host's reply or error.
 *
 * `R` are the requests by name, `P` the messages that the host sends by itself, `S` the kept state.
 */
export class HostLink<
  R extends RequestMap<R>,
  P extends { readonly kind: string },
  S extends { readonly version: 1 },
> {
  readonly #api: WebviewApi;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  /** `onPush` gets the messages that answer no request. */
  constructor(api: WebviewApi, onPush: (message: P) => void) {
    this.#api = api;
    window.addEventListener("message", (event: MessageEvent<ReplyMessage | P>) => {
      const message = event.data;
      if (!isReply(message)) {
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
  request<N extends keyof R & string>(name: N, params: R[N]["params"]): Promise<R[N]["result"]> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#api.postMessage({ kind: "request", id, name, params } as RequestOf<R>);
    });
  }

  /** The state kept before a reload, if it is one of ours. */
  restored(): Partial<S> {
    const state = this.#api.getState() as Partial<S> | null | undefined;
    return state?.version === 1 ? state : {};
  }

  keep(state: S): void {
    this.#api.setState(state);
  }
}

function isReply(message: ReplyMessage | { readonly kind: string }): message is ReplyMessage {
  return message?.kind === "reply" || message?.kind === "error";
}
