import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";
import { CancelledError, InputError, ModelError } from "../../src/common/errors.ts";
import { HubClient } from "../../src/hub/client.ts";
import { HubError, type HubTrouble, noAnswer } from "../../src/hub/failures.ts";
import { planDownload } from "../../src/hub/plan.ts";
import { HubRequests } from "../../src/hub/requests.ts";
import { HubFixture, IMPATIENT, MODEL } from "../support/hub-fixture.ts";
import { GOOD_TOKEN, OUTSIDER_TOKEN, type ServedModel } from "../support/hub-server.ts";

let hub: HubFixture;
beforeEach(async () => {
  hub = await HubFixture.start();
});
afterEach(() => hub.stop());

const plan = (client: HubClient = hub.client(), revision = "main", name = MODEL) =>
  planDownload(client, name, revision);

const served = () => hub.server.models.get(MODEL) ?? { files: {} };

/** Serves the model with something changed. */
const serve = (change: Partial<ServedModel>) =>
  hub.server.models.set(MODEL, { ...served(), ...change });

function editConfig(change: (config: Record<string, unknown>) => Record<string, unknown>): void {
  const { files } = served();
  const config: Record<string, unknown> = JSON.parse(files["config.json"]?.toString() ?? "");
  serve({ files: { ...files, "config.json": Buffer.from(JSON.stringify(change(config))) } });
}

/** The model with other files instead of its own. */
function serveOnly(names: readonly string[], card: Record<string, unknown> = {}): void {
  serve({ files: Object.fromEntries(names.map((name) => [name, Buffer.from("{}")])), card });
}

async function rejects(
  work: Promise<unknown>,
  kind: HubTrouble | "model",
  ...named: (string | RegExp)[]
): Promise<void> {
  await assert.rejects(work, (error) => {
    if (kind === "model") assert.ok(error instanceof ModelError, `${error}`);
    else assert.equal(error instanceof HubError && error.trouble, kind, `${error}`);
    const message = error instanceof Error ? error.message : "";
    for (const part of named) {
      const found = typeof part === "string" ? message.includes(part) : part.test(message);
      assert.ok(found, `"${message}" names ${part}`);
    }
    return true;
  });
}

/** Only headers and texts were looked at: nothing is in the cache. */
const nothingKept = () => assert.deepEqual(hub.files(), []);

test("a search finds models of both kinds, the most downloaded first, with size, licence and family", async () => {
  hub.server.models.set("lab/tiny-image", {
    files: {},
    task: "image-text-to-text",
    downloads: 99,
    access: "licence",
    card: { license: "mit" },
  });
  hub.server.models.set("lab/tiny-text", { files: {}, task: "text-generation" });
  assert.deepEqual(await hub.client().search("tiny"), [
    {
      ...{ name: "lab/tiny-image", downloads: 99, gated: true, licence: "mit" },
      ...{ modelType: undefined, bytes: undefined },
    },
    {
      ...{ name: MODEL, downloads: 10, gated: false, licence: "apache-2.0" },
      ...{ modelType: "llava", bytes: 2_000 },
    },
  ]);
});

test("an unsupported family is told from config.json alone, before a shard is touched", async () => {
  editConfig((config) => ({
    ...config,
    model_type: "qwen9_vl",
    auto_map: { AutoModel: "modeling_q.Q" },
  }));
  await rejects(plan(), "model", `${MODEL}/config.json`, "qwen9_vl", "modeling_q.py", "llava");
  assert.ok(!hub.server.seen.some(({ path }) => /safetensors$/.test(path)));
  nothingKept();
});

test("quantized, adapter-only, pickled and foreign weights are refused with their base model", async () => {
  editConfig((config) => ({ ...config, quantization_config: { quant_method: "awq" } }));
  await rejects(plan(), "model", "quantization_config", "awq", "unquantized");
  serveOnly(["adapter_config.json", "adapter_model.safetensors"], { base_model: "lab/Base" });
  await rejects(plan(), "model", MODEL, "only an adapter", "lab/Base", "merge_and_unload");
  serveOnly(["config.json", "tokenizer.json", "pytorch_model-00001-of-00002.bin"]);
  await rejects(plan(), "model", "pytorch_model-00001-of-00002.bin", "pickled", "safetensors");
  serveOnly(["tiny.Q4_K_M.gguf"], { base_model: ["lab/Base"] });
  await rejects(plan(), "model", "tiny.Q4_K_M.gguf", "lab/Base");
  nothingKept();
});

test("a checkpoint without a tokenizer or a processor is refused before it is downloaded", async () => {
  for (const name of ["tokenizer.json", "preprocessor_config.json"]) {
    const { [name]: _, ...files } = served().files;
    hub.server.models.set("lab/part", { files });
    await rejects(plan(hub.client(), "main", "lab/part"), "model", name, "save_pretrained");
  }
});

test("a tensor of another shape is found in the shards' headers, before they are downloaded", async () => {
  editConfig((config) => {
    const text = config.text_config as Record<string, unknown>;
    return { ...config, text_config: { ...text, intermediate_size: 4_000 } };
  });
  await rejects(plan(), "model", "gate_proj", "4000");
  nothingKept();
});

test("a gated model asks for its licence and a token; with a token that has access it is read", async () => {
  serve({ access: "licence" });
  const page = `${hub.server.endpoint}/${MODEL}`;
  await rejects(plan(), "access", "gated", page, "accept the licence", "set HF_TOKEN");
  await rejects(plan(hub.client({ token: OUTSIDER_TOKEN })), "access", page, "has not been let in");
  const { model } = await plan(hub.client({ token: GOOD_TOKEN }));
  assert.equal(model.gated, true);
});

test("a wrong token, a private and a missing model, and a missing revision are told apart as far as the hub does", async () => {
  await rejects(plan(hub.client({ token: "hf_wrong" })), "access", "refuses your access token");
  serve({ access: "hidden" });
  await rejects(plan(), "missing", MODEL, "private", "set HF_TOKEN");
  await rejects(plan(hub.client({ token: OUTSIDER_TOKEN })), "missing", MODEL);
  await plan(hub.client({ token: GOOD_TOKEN }));
  await rejects(plan(hub.client(), "main", "lab/none"), "missing", '"lab/none"');
  await rejects(plan(hub.client({ token: GOOD_TOKEN }), "v9"), "missing", '"v9"');
});

test("the token goes to the hub alone, never to where it redirects, and into no message", async () => {
  const client = hub.client({ token: GOOD_TOKEN });
  await plan(client);
  const tokens = (at: "hub" | "cdn") => [
    ...new Set(hub.server.seen.filter((one) => one.at === at).map(({ token }) => token)),
  ];
  assert.deepEqual(tokens("hub"), [GOOD_TOKEN]);
  assert.deepEqual(tokens("cdn"), [undefined]);
  const secret = "hf_very secret\n";
  assert.throws(
    () => hub.client({ token: secret }),
    (error) => error instanceof InputError && !error.message.includes("secret"),
  );
});

test("a hub that is busy is asked again after the time it names, and not before", async () => {
  let refused = 0;
  let at = 0;
  hub.server.trouble = (_, response) => {
    if (refused++ > 0) {
      at ||= performance.now();
      return false;
    }
    response.writeHead(429, { "retry-after": "1" }).end();
    return true;
  };
  const begun = performance.now();
  await plan();
  assert.ok(at - begun >= 950, `${at - begun} ms`);
});

test("a hub that stays busy, or asks for a long wait, ends with one message", async () => {
  let asked = 0;
  hub.server.trouble = (_, response) => {
    asked++;
    response.writeHead(503).end();
    return true;
  };
  await rejects(plan(), "busy", "503");
  assert.equal(asked, 4);
  hub.server.trouble = (_, response) => {
    response.writeHead(429, { "retry-after": "600" }).end();
    return true;
  };
  await rejects(plan(), "busy", "wait 10 min");
});

test("waiting for a busy hub ends at once when it is cancelled", async () => {
  hub.server.trouble = (_, response) => {
    response.writeHead(429, { "retry-after": "2" }).end();
    return true;
  };
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 50);
  const begun = performance.now();
  await assert.rejects(planDownload(hub.client(), MODEL, "main", stop.signal), CancelledError);
  assert.ok(performance.now() - begun < 1_000);
});

test("a hub that never answers, is not there, or is not to be asked, is told in one message each", async () => {
  hub.server.trouble = () => true;
  const hasty = { ...IMPATIENT, responseTimeoutMs: 50 };
  await rejects(plan(hub.client({ retryPolicy: hasty })), "offline", hub.server.endpoint);
  const gone = new HubFixtureGone();
  await rejects(plan(await gone.client(hub.cache)), "offline", "ECONNREFUSED", "cannot be reached");
  hub.server.seen.length = 0;
  await rejects(plan(hub.client({}, { offline: true })), "offline", "HF_HUB_OFFLINE");
  assert.deepEqual(hub.server.seen, []);
});

test("answers that drip, swell or never end name what they hit", async (t) => {
  const hasty = { ...IMPATIENT, idleTimeoutMs: 100, totalTimeoutMs: 400 };
  const client = () => hub.client({ retryPolicy: hasty });
  const json = { "content-type": "application/json" };
  const timers: NodeJS.Timeout[] = [];
  t.after(() => timers.forEach(clearInterval));
  hub.server.trouble = (_, response) => {
    response.writeHead(200, json);
    timers.push(setInterval(() => response.write(" "), 20));
    return true;
  };
  await rejects(plan(client()), "damaged", "did not end within");
  const bomb = gzipSync(Buffer.alloc(64_000_000, 32));
  hub.server.trouble = (_, response) => {
    response.writeHead(200, { ...json, "content-encoding": "gzip" }).end(bomb);
    return true;
  };
  const patient = hub.client({ retryPolicy: { ...IMPATIENT, totalTimeoutMs: 30_000 } });
  await rejects(plan(patient), "damaged", "larger than 32");
  hub.server.trouble = ({ path }, response) => {
    if (!path.includes("/tree/")) return false;
    const next = `<${hub.server.endpoint}${path}>; rel="next"`;
    response.writeHead(200, { ...json, link: next }).end("[]");
    return true;
  };
  await rejects(plan(), "damaged", "more than 100 pages");
});

test("redirects in a circle are named", async () => {
  hub.server.trouble = ({ path }, response) => {
    response.writeHead(302, { location: path }).end();
    return true;
  };
  await rejects(plan(), "damaged", /redirect/);
});

test("a sign-in page instead of the hub's answer is told as one", async () => {
  hub.server.trouble = (_, response) => {
    response.writeHead(200, { "content-type": "text/html" }).end("<html>Sign in</html>");
    return true;
  };
  await rejects(plan(), "proxy", "no JSON", "sign-in page");
});

test("proxies and certificates in the way are named with what to do", () => {
  const cause = (code: string, message = "") => {
    const inner = Object.assign(new Error(message), { code });
    return new TypeError("fetch failed", { cause: inner });
  };
  const told = (error: unknown, proxy = false) => noAnswer(error, "https://hub.test", proxy);
  const certificate = told(cause("SELF_SIGNED_CERT_IN_CHAIN"));
  assert.equal(certificate.trouble, "proxy");
  assert.match(certificate.message, /NODE_EXTRA_CA_CERTS/);
  const password = told(
    cause("UND_ERR_ABORTED", "Proxy response (407) !== 200 when HTTP Tunneling"),
  );
  assert.match(password.message, /name and password/);
  const refused = told(
    cause("UND_ERR_ABORTED", "Proxy response (403) !== 200 when HTTP Tunneling"),
  );
  assert.match(refused.message, /does not let https:\/\/hub.test be reached \(status 403\)/);
  assert.match(told(cause("ECONNREFUSED"), true).message, /HTTPS_PROXY .* NO_PROXY/);
  assert.equal(told(cause("ENOTFOUND")).trouble, "offline");
});

test("checksums, sizes and names that no hub gives are refused or left out", async () => {
  hub.server.trouble = ({ path }, response) => {
    if (!path.includes("/tree/")) return false;
    response.setHeader("content-type", "application/json");
    response.end(
      JSON.stringify([
        { type: "file", path: "../../evil.json", size: 1, oid: "a".repeat(40) },
        { type: "file", path: "config.json", size: 1, oid: "../../etc/passwd" },
      ]),
    );
    return true;
  };
  await rejects(plan(), "damaged", "config.json with the checksum");
  nothingKept();
});

/** A hub at an address where nothing listens. */
class HubFixtureGone {
  async client(cache: string): Promise<HubClient> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const settings = { endpoint: `http://127.0.0.1:${port}`, cache, offline: false };
    return new HubClient(new HubRequests(settings, { tokenAdvice: "", retryPolicy: IMPATIENT }));
  }
}
