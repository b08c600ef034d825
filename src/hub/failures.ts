import { InputError } from "../common/errors.ts";

/** What kind of trouble the hub or the way to it gave. */
export type HubTrouble =
  /** No access without a token, with this token, or before a licence is accepted. */
  | "access"
  /** There is no such model, revision or file. */
  | "missing"
  /** No network, or none is to be used. */
  | "offline"
  /** Something between here and the hub: a proxy, its certificate, a sign-in page. */
  | "proxy"
  /** The hub asks to wait, or does not work at the moment. */
  | "busy"
  /** What arrived is not what was announced. */
  | "damaged";

/** The hub could not be read: the message says what is wrong and what to do. */
export class HubError extends InputError {
  constructor(
    readonly trouble: HubTrouble,
    message: string,
  ) {
    super(message);
  }
}

/** What is asked for, to be named in a message. */
export interface FailureTopic {
  /** Address of the hub. */
  readonly endpoint: string;
  /** The model's name; absent for a search. */
  readonly name?: string;
  readonly revision?: string;
  /** Whether an access token was sent. */
  readonly token: boolean;
  /** Where a token can be given, for people. */
  readonly tokenAdvice: string;
}

/**
 * The error for an answer that is no success.
 *
 * Statuses and `X-Error-Code` as the hub's own clients read them: 401 stands for a gated, a private
 * and a missing model alike, for those who may not know which.
 */
export function refusedAnswer(
  { status, headers }: { readonly status: number; readonly headers: Headers },
  subject: FailureTopic,
): HubError {
  const { endpoint, name = "the search", token, tokenAdvice } = subject;
  const code = headers.get("x-error-code") ?? "";
  const page = `${endpoint}/${name}`;
  if (status === 407) return proxyRefuses(endpoint);
  if (code === "GatedRepo" || status === 403) {
    const then = token
      ? "the account of your access token has not been let in: accept the licence there, and wait for an approval if one is asked for"
      : `accept the licence there, then give an access token: ${tokenAdvice}`;
    return new HubError("access", `${name} is gated; its page is ${page}; ${then}`);
  }
  if (status === 401 && code !== "RepoNotFound") {
    return new HubError(
      "access",
      token
        ? `${endpoint} refuses your access token (it is wrong, or expired); give another: ${tokenAdvice}`
        : `${name} cannot be read without an access token; give one: ${tokenAdvice}`,
    );
  }
  if (status === 401 || status === 404) {
    if (code === "RevisionNotFound" && subject.revision !== undefined) {
      return new HubError("missing", `${page} has no branch, tag or commit "${subject.revision}"`);
    }
    const hidden = token
      ? "or your access token does not show it"
      : `or it is private: give an access token then (${tokenAdvice})`;
    return new HubError("missing", `there is no model "${name}" on ${endpoint}, ${hidden}`);
  }
  if (status === 429 || status >= 500) {
    return new HubError("busy", `${endpoint} does not answer now (status ${status}); try later`);
  }
  return new HubError("damaged", `${endpoint} answered ${name} with status ${status}`);
}

function proxyRefuses(endpoint: string): HubError {
  return new HubError(
    "proxy",
    `a proxy on the way to ${endpoint} asks for a name and password (status 407); ` +
      "put them into HTTPS_PROXY (http://NAME:PASSWORD@HOST:PORT) or VS Code's proxy settings",
  );
}

/** Codes of certificates that the system does not trust. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|ERR_TLS/;

/** Codes of a network that is not there, rather than one that broke off. */
const NO_NETWORK = new Set(["ENOTFOUND", "EAI_AGAIN", "ENETUNREACH", "EHOSTUNREACH", "ENETDOWN"]);

/**
 * The error for a request that got no answer.
 *
 * @param proxy whether the environment names a proxy.
 */
export function noAnswer(error: unknown, endpoint: string, proxy: boolean): HubError {
  const codes = causes(error);
  const code = codes.find((one) => one !== "") ?? "";
  const words = messages(error);
  if (/\b407\b|Proxy response/.test(words)) {
    if (/\b407\b/.test(words)) return proxyRefuses(endpoint);
    const status = /\((\d{3})\)/.exec(words)?.[1];
    const why = status === undefined ? "" : ` (status ${status})`;
    return new HubError("proxy", `the proxy does not let ${endpoint} be reached${why}`);
  }
  if (CERTIFICATE.test(code)) {
    return new HubError(
      "proxy",
      `the certificate shown for ${endpoint} is not trusted (${code}); a proxy may have put its own ` +
        "in: name its authority's file in NODE_EXTRA_CA_CERTS",
    );
  }
  if (/redirect count exceeded/.test(words)) {
    return new HubError(
      "damaged",
      `${endpoint} redirects in a circle; check HF_ENDPOINT, or try later`,
    );
  }
  const because = code === "" ? "" : ` (${code})`;
  if (proxy && (code === "ECONNREFUSED" || NO_NETWORK.has(code))) {
    return new HubError(
      "proxy",
      `${endpoint} cannot be reached through the proxy that HTTPS_PROXY or HTTP_PROXY names${because}; ` +
        "check its address, or list the hub in NO_PROXY",
    );
  }
  return new HubError(
    "offline",
    `${endpoint} cannot be reached${because}; check the network (models in the cache can be used without)`,
  );
}

/** Whether trying again soon is worth it: the connection broke, rather than never being there. */
export function isBreak(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof InputError) return false;
  const codes = causes(error);
  return (
    !codes.some((code) => NO_NETWORK.has(code) || CERTIFICATE.test(code)) &&
    !codes.includes("ECONNREFUSED") &&
    !/Proxy response|\b407\b|redirect count/.test(messages(error))
  );
}

function chain(error: unknown): Error[] {
  const found: Error[] = [];
  let at = error;
  while (at instanceof Error && found.length < 5) {
    found.push(at);
    // Several addresses tried: the first one's failure stands for all.
    at = at instanceof AggregateError ? at.errors[0] : at.cause;
  }
  return found;
}

function causes(error: unknown): string[] {
  return chain(error).map((one) => ("code" in one && typeof one.code === "string" ? one.code : ""));
}

function messages(error: unknown): string {
  return chain(error)
    .map(({ message }) => message)
    .join("; ");
}
