import { setTimeout as pause } from "node:timers/promises";
import { CancelledError, InputError, throwIfCancelled } from "../common/errors.ts";
import { BodyLimitError, CutError, readBody } from "./bodies.ts";
import { HubError, isBreak, noAnswer, refusedAnswer } from "./failures.ts";
import type { HubSettings } from "./settings.ts";

/** Sends one GET request, as `fetch` does. */
export type Send = (
  url: string,
  init: { readonly headers: Record<string, string>; readonly signal: AbortSignal },
) => Promise<Response>;

/** What requests to the hub need beside its settings. */
export interface Access {
  /** The user's access token, if there is one. Sent to the hub's own address only, never logged. */
  readonly token?: string | undefined;
  /** Where a token can be given, for people. */
  readonly tokenAdvice: string;
  /** How requests are sent; the runtime's own `fetch` by default. */
  readonly send?: Send;
  readonly retryPolicy?: Partial<RetryPolicy>;
}

/** How long is waited, and for how much. */
export interface RetryPolicy {
  /** For an answer to begin. */
  readonly responseTimeoutMs: number;
  /** For the next bytes of a body. */
  readonly idleTimeoutMs: number;
  /** For the whole of an answer that is kept in memory. */
  readonly totalTimeoutMs: number;
  /** Bytes of a download that must arrive within `idleTimeoutMs` at the least. */
  readonly leastBytes: number;
  /** Before the second try; doubled for every further one. */
  readonly backoffMs: number;
  /** The longest wait that a server may ask for. */
  readonly maxRetryAfterMs: number;
}

const RETRY_POLICY: RetryPolicy = {
  responseTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
  totalTimeoutMs: 180_000,
  leastBytes: 16_384,
  backoffMs: 1_000,
  maxRetryAfterMs: 120_000,
};

/** Bytes of an answer about models, after decompression; the largest lists of files have some MB. */
const MAX_ANSWER_BYTES = 32_000_000;
/** Pages of one list: a hub whose lists never end is refused. */
const MAX_PAGES = 100;

/** How often a request is sent before its failure is told. */
const TRIES = 4;

/** Answers that a server gives when the same request may succeed soon. */
const TRANSIENT = new Set([408, 429, 500, 502, 503, 504]);

/** What one request is about, and how it is sent. */
export interface RequestOptions {
  readonly name?: string;
  readonly revision?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Statuses besides 2xx that the asker deals with. */
  readonly expected?: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

/** Sends requests to the hub: the token where it belongs, retries, and one clear error. */
export class HubRequests {
  readonly retryPolicy: RetryPolicy;
  readonly #send: Send;
  readonly #origin: string;

  /** @throws InputError when the token cannot be one. */
  constructor(
    readonly settings: HubSettings,
    readonly access: Access,
  ) {
    this.retryPolicy = { ...RETRY_POLICY, ...access.retryPolicy };
    this.#send = access.send ?? fetch;
    this.#origin = new URL(settings.endpoint).origin;
    // Said here without its value: a header's own error would show it.
    if (access.token !== undefined && !/^[\x21-\x7e]+$/.test(access.token)) {
      throw new InputError("the access token has characters that no token has; give it again");
    }
  }

  /**
   * Sends a GET request and waits for its answer to begin. Tries again when the connection breaks or
   * the server asks to wait.
   *
   * @throws HubError for every failure; CancelledError.
   */
  async get(url: string, options: RequestOptions = {}): Promise<Response> {
    const { endpoint, offline } = this.settings;
    if (offline) {
      throw new HubError(
        "offline",
        "HF_HUB_OFFLINE is set: only models in the cache can be used; unset it to download",
      );
    }
    for (let tries = 1; ; tries++) {
      let response: Response;
      try {
        response = await this.#begin(url, options);
      } catch (error) {
        throwIfCancelled(options.signal);
        if (tries === TRIES || !isBreak(error)) throw noAnswer(error, endpoint, proxyNamed());
        await this.wait(this.retryPolicy.backoffMs * 2 ** (tries - 1), options.signal);
        continue;
      }
      if (response.ok || options.expected?.includes(response.status)) return response;
      const refusal = refusedAnswer(response, {
        ...{ endpoint, token: this.access.token !== undefined },
        ...{ tokenAdvice: this.access.tokenAdvice },
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.revision === undefined ? {} : { revision: options.revision }),
      });
      await response.body?.cancel().catch(() => undefined);
      if (tries === TRIES || !TRANSIENT.has(response.status)) throw refusal;
      const asked = retryAfter(response.headers);
      if (asked !== undefined && asked > this.retryPolicy.maxRetryAfterMs) {
        const minutes = Math.ceil(asked / 60_000);
        throw new HubError(
          "busy",
          `${endpoint} has had too many requests and asks to wait ${minutes} min; try again then`,
        );
      }
      await this.wait(asked ?? this.retryPolicy.backoffMs * 2 ** (tries - 1), options.signal);
    }
  }

  /**
   * The same as a function that stands in for `fetch`, for a library: bodies are read within bounds,
   * and a list has a bounded number of pages.
   */
  asFetch(options: RequestOptions): typeof fetch {
    let pages = 0;
    return async (input, init) => {
      pages++;
      if (pages > MAX_PAGES) throw this.#unending(`a list of more than ${MAX_PAGES} pages`);
      const headers = Object.fromEntries(new Headers(init?.headers).entries());
      const response = await this.get(String(input), {
        ...options,
        headers: { ...headers, ...options.headers },
      });
      const { status, statusText } = response;
      const body = await this.#answer(response, options.signal);
      const copied = new Headers(response.headers);
      // The body is plain now.
      copied.delete("content-encoding");
      copied.delete("content-length");
      return new Response(body, { status, statusText, headers: copied });
    };
  }

  /** An answer's whole body. @throws HubError when it does not end, or is too large. */
  async #answer(
    response: Response,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array<ArrayBuffer>> {
    try {
      return await readBody(response, { mostBytes: MAX_ANSWER_BYTES, ...this.retryPolicy });
    } catch (error) {
      throwIfCancelled(signal);
      if (error instanceof BodyLimitError) throw this.#unending(`an answer that ${error.message}`);
      if (error instanceof CutError) throw this.#unending(`half an answer: ${error.message}`);
      throw error;
    }
  }

  #unending(what: string): HubError {
    const { endpoint } = this.settings;
    return new HubError("damaged", `${endpoint} gave ${what}; try later, or check HF_ENDPOINT`);
  }

  /** Waits; ends early by CancelledError. */
  async wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
    await pause(milliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => {
      throw new CancelledError();
    });
  }

  async #begin(url: string, { headers, signal }: RequestOptions): Promise<Response> {
    throwIfCancelled(signal);
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort(new Error(`no answer within ${this.retryPolicy.responseTimeoutMs / 1000} s`));
    }, this.retryPolicy.responseTimeoutMs);
    const signals = signal === undefined ? [late.signal] : [late.signal, signal];
    const token = new URL(url).origin === this.#origin ? this.access.token : undefined;
    try {
      // On the way to another host, redirects drop the token: it is the hub's alone.
      return await this.#send(url, {
        headers: {
          "user-agent": "flowprobe",
          ...headers,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        signal: AbortSignal.any(signals),
      });
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Milliseconds that `Retry-After` asks for: seconds, or a date. */
function retryAfter(headers: Headers): number | undefined {
  const text = headers.get("retry-after");
  if (text === null) return undefined;
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}

/** Whether the environment names a proxy. */
export function proxyNamed(environment: NodeJS.ProcessEnv = process.env): boolean {
  const names = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
  return names.some((name) => Boolean(environment[name]));
}
