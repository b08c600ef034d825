import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Files larger than this are kept as the hub keeps large ones: by SHA-256, and served by a CDN. */
const LARGE_BYTES = 2_000;

/** A model as the server has it. */
export interface ServedModel {
  readonly files: Record<string, Buffer>;
  readonly card?: Readonly<Record<string, unknown>>;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly task?: string;
  readonly downloads?: number;
  readonly parameters?: Readonly<Record<string, number>>;
  /** Who may read it. */
  readonly access?: "all" | "licence" | "hidden";
}

/** A request that arrived. */
export interface SeenRequest {
  readonly at: "hub" | "cdn";
  readonly path: string;
  readonly token: string | undefined;
  readonly range: string | undefined;
}

/** What a test lets go wrong with a request; true when the answer has been given. */
export type Trouble = (request: SeenRequest, response: ServerResponse) => boolean;

/** Names an account that has accepted every licence. */
export const GOOD_TOKEN = "hf_good";
/** Names one that has not. */
export const OUTSIDER_TOKEN = "hf_outsider";

/**
 * A server that speaks the hub's protocol on the loopback address: search, model information, tree, and
 * files, large ones by a redirect to a second server as the hub does it.
 */
export class HubServer {
  readonly models = new Map<string, ServedModel>();
  readonly seen: SeenRequest[] = [];
  trouble: Trouble = () => false;
  /** After how many bytes the CDN's answers break off; taken from the front, one an answer. */
  readonly cuts: number[] = [];
  /** Bytes a second that the CDN gives; without end when undefined. */
  speed: number | undefined;
  /** Whether the CDN knows ranges. */
  ranges = true;
  /** Gives other bytes than were promised. */
  corrupt: ((file: string, content: Buffer) => Buffer) | undefined;

  private constructor(
    private readonly hub: Server,
    private readonly cdn: Server,
  ) {
    hub.on("request", (request, response) => this.#guard(request, response, "hub"));
    cdn.on("request", (request, response) => this.#guard(request, response, "cdn"));
  }

  static async start(): Promise<HubServer> {
    const servers = [createServer(), createServer()] as const;
    for (const server of servers) {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    }
    return new HubServer(...servers);
  }

  get endpoint(): string {
    return addressOf(this.hub);
  }

  async stop(): Promise<void> {
    for (const server of [this.hub, this.cdn]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  /** Commit of a model: changes with its content. */
  commit(name: string): string {
    const hash = createHash("sha1").update(name);
    for (const [file, content] of Object.entries(this.#model(name).files)) {
      hash.update(file).update(content);
    }
    return hash.digest("hex");
  }

  #model(name: string): ServedModel {
    const model = this.models.get(name);
    if (model === undefined) throw new Error(`the test has no model ${name}`);
    return model;
  }

  async #guard(request: IncomingMessage, response: ServerResponse, at: "hub" | "cdn") {
    const seen: SeenRequest = {
      at,
      path: request.url ?? "",
      token: request.headers.authorization?.replace(/^Bearer /, ""),
      range: request.headers.range,
    };
    this.seen.push(seen);
    if (this.trouble(seen, response)) return;
    const url = new URL(seen.path, this.endpoint);
    if (at === "cdn") await this.#serveLarge(url, seen, response);
    else this.#serveHub(url, seen, response);
  }

  #serveHub(url: URL, seen: SeenRequest, response: ServerResponse): unknown {
    const json = (value: unknown): void => {
      response.setHeader("content-type", "application/json; charset=utf-8");
      response.end(JSON.stringify(value));
    };
    if (url.pathname === "/api/models") {
      json(this.#search(url));
      return;
    }
    const route =
      /^\/api\/models\/(?<name>.+?)\/(?<kind>revision|tree)\/(?<revision>[^/]+)$/.exec(
        url.pathname,
      ) ?? /^\/(?<name>.+?)\/(?<kind>resolve)\/(?<revision>[^/]+)\/(?<file>.+)$/.exec(url.pathname);
    const { name = "", kind, revision = "", file = "" } = route?.groups ?? {};
    const refuse = (status: number, code: string) => {
      response.statusCode = status;
      response.setHeader("x-error-code", code);
      json({ error: "refused" });
    };
    const model = this.models.get(name);
    const { access = "all" } = model ?? {};
    if (seen.token !== undefined && ![GOOD_TOKEN, OUTSIDER_TOKEN].includes(seen.token)) {
      return refuse(401, "");
    }
    // The hub does not tell strangers whether a model is there.
    if (model === undefined || (access === "hidden" && seen.token !== GOOD_TOKEN)) {
      return seen.token === undefined ? refuse(401, "RepoNotFound") : refuse(404, "RepoNotFound");
    }
    const commit = this.commit(name);
    if (!["main", "HEAD", "v1", commit].includes(revision)) return refuse(404, "RevisionNotFound");
    if (kind === "revision") return json(this.#information(name, model, commit));
    if (kind === "tree") return this.#tree(url, model, response, json);
    if (access === "licence" && seen.token !== GOOD_TOKEN) {
      return refuse(seen.token === undefined ? 401 : 403, "GatedRepo");
    }
    const content = model.files[file];
    if (content === undefined) return refuse(404, "EntryNotFound");
    response.setHeader("x-repo-commit", commit);
    if (content.length <= LARGE_BYTES) {
      response.setHeader("etag", `"${gitHash(content)}"`);
      response.end(content);
      return;
    }
    response.statusCode = 302;
    response.setHeader("x-linked-etag", `"${sha256(content)}"`);
    response.setHeader("x-linked-size", content.length);
    response.setHeader("location", `${addressOf(this.cdn)}/${name}/${file}?Signature=secret`);
    response.end();
  }

  #information(name: string, model: ServedModel, sha: string): Record<string, unknown> {
    return {
      ...{ _id: name, id: name, sha, private: false, likes: 1, downloads: model.downloads ?? 0 },
      gated: model.access === "licence" ? "manual" : false,
      lastModified: "2026-01-01T00:00:00.000Z",
      cardData: model.card,
      config: model.config,
      pipeline_tag: model.task,
      tags: model.card?.license === undefined ? [] : [`license:${model.card.license}`],
      safetensors: model.parameters && { parameters: model.parameters, total: 0 },
    };
  }

  #search(url: URL): unknown[] {
    const words = (url.searchParams.get("search") ?? "").toLowerCase();
    return [...this.models]
      .filter(([, { task }]) => task === url.searchParams.get("pipeline_tag"))
      .filter(([name]) => name.toLowerCase().includes(words))
      .map(([name, model]) => this.#information(name, model, this.commit(name)));
  }

  /** Three entries a page, so that reading on is needed. */
  #tree(
    url: URL,
    model: ServedModel,
    response: ServerResponse,
    json: (value: unknown) => void,
  ): void {
    const entries = Object.entries(model.files).map(([path, content]) => ({
      ...{ type: "file", path, size: content.length, oid: gitHash(content) },
      ...(content.length > LARGE_BYTES
        ? { lfs: { oid: sha256(content), size: content.length, pointerSize: 130 } }
        : {}),
    }));
    const from = Number(url.searchParams.get("cursor") ?? 0);
    if (from + 3 < entries.length) {
      url.searchParams.set("cursor", String(from + 3));
      response.setHeader("link", `<${url.href}>; rel="next"`);
    }
    json(entries.slice(from, from + 3));
  }

  async #serveLarge(url: URL, seen: SeenRequest, response: ServerResponse): Promise<void> {
    const [, owner, repository, file = ""] = url.pathname.split("/");
    const whole = this.#model(`${owner}/${repository}`).files[file] ?? Buffer.alloc(0);
    const content = this.corrupt?.(file, whole) ?? whole;
    const asked = this.ranges ? /^bytes=(\d+)-(\d*)$/.exec(seen.range ?? "") : null;
    const from = Number(asked?.[1] ?? 0);
    const to = asked?.[2] ? Number(asked[2]) + 1 : content.length;
    if (asked !== null && from >= content.length) {
      response.statusCode = 416;
      response.end();
      return;
    }
    if (asked !== null) {
      response.statusCode = 206;
      response.setHeader("content-range", `bytes ${from}-${to - 1}/${content.length}`);
    }
    response.setHeader("content-length", to - from);
    const body = content.subarray(from, to);
    // Looking at a header is not downloading: cuts are for those who ask for the rest of a file.
    const cut = asked?.[2] ? undefined : this.cuts.shift();
    const sent = body.subarray(0, cut ?? body.length);
    const step = this.speed === undefined ? sent.length : Math.max(1, Math.floor(this.speed / 50));
    for (let at = 0; at < sent.length; at += step) {
      response.write(sent.subarray(at, at + step));
      if (this.speed !== undefined) await new Promise((resolve) => setTimeout(resolve, 20));
      if (response.destroyed) return;
    }
    // Written bytes must have left before the connection is torn down.
    if (cut !== undefined) setTimeout(() => response.destroy(), 30);
    else response.end();
  }
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export function sha256(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}

export function gitHash(content: Buffer): string {
  return createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
}
