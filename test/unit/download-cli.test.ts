import assert from "node:assert/strict";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { after, afterEach, beforeEach, test } from "node:test";
import { z } from "zod";
import { bundleCommandLine } from "../support/bundle.ts";
import { startChild } from "../support/child.ts";
import { HubFixture, MODEL, neededFiles } from "../support/hub-fixture.ts";
import { GOOD_TOKEN } from "../support/hub-server.ts";

const { cli, remove } = await bundleCommandLine();
after(remove);

let hub: HubFixture;
beforeEach(async () => {
  hub = await HubFixture.start();
});
afterEach(() => hub.stop());

/** Starts the command with the hub's variables set to the local server and cache. */
function start(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  return startChild(process.execPath, [cli, "download", ...args], {
    env: {
      ...{ PATH: process.env.PATH ?? "", HF_HOME: hub.cache, HF_HUB_CACHE: hub.cache },
      ...{ HF_ENDPOINT: hub.server.endpoint, ...environment },
    },
  });
}

const run = (args: readonly string[], environment?: Readonly<Record<string, string>>) =>
  start(args, environment).ended;

const report = z.object({
  repository: z.literal(MODEL),
  licence: z.literal("apache-2.0"),
  family: z.string(),
  folder: z.string(),
  bytes: z.int().positive(),
  downloadedBytes: z.int(),
  files: z.array(z.object({ name: z.string(), size: z.int(), hash: z.string() })),
});

test("size and licence are shown, and nothing is downloaded without --yes where nobody can be asked", async () => {
  const { code, stdout, stderr } = await run([MODEL]);
  assert.equal(code, 2);
  assert.match(stdout, /^licence +apache-2\.0$/m);
  assert.match(stdout, /^size +\d+(\.\d)? KB in \d+ files$/m);
  assert.match(stderr, /--yes says so/);
  assert.deepEqual(hub.files(), []);
});

test("--yes --json downloads and prints one object; the second time nothing is fetched; offline it is found", async () => {
  const first = await run([MODEL, "--yes", "--json"]);
  assert.equal(first.code, 0, first.stderr);
  const found = report.parse(JSON.parse(first.stdout));
  assert.equal(found.downloadedBytes, found.bytes);
  const { files } = hub.server.models.get(MODEL) ?? { files: {} };
  assert.deepEqual(found.files.map(({ name }) => name).sort(), neededFiles(files));
  const second = await run([MODEL, "--json"]);
  assert.equal(second.code, 0, second.stderr);
  assert.equal(report.parse(JSON.parse(second.stdout)).downloadedBytes, 0);
  hub.server.seen.length = 0;
  const offline = await run([MODEL], { HF_HUB_OFFLINE: "1" });
  assert.deepEqual([offline.code, offline.stdout], [0, `in the cache  ${found.folder}\n`]);
  const other = await run(["lab/other", "--yes"], { HF_HUB_OFFLINE: "1" });
  assert.equal(other.code, 2);
  assert.match(other.stderr, /HF_HUB_OFFLINE is set/);
  assert.deepEqual(hub.server.seen, []);
});

test("an unsupported model has the exit code of a bad model, a gated one that of bad input", async () => {
  const { files } = hub.server.models.get(MODEL) ?? { files: {} };
  hub.server.models.set("lab/odd", {
    files: { ...files, "config.json": Buffer.from('{"model_type": "odd"}') },
  });
  const odd = await run(["lab/odd", "--yes"]);
  assert.equal(odd.code, 3);
  assert.match(odd.stderr, /^flowprobe: lab\/odd\/config\.json: "model_type" is "odd"/);
  hub.server.models.set("lab/gated", { files, access: "licence" });
  const gated = await run(["lab/gated", "--yes"]);
  assert.equal(gated.code, 2);
  assert.match(gated.stderr, /accept the licence there, then give an access token/);
  const let_in = await run(["lab/gated", "--yes"], { HF_TOKEN: GOOD_TOKEN });
  assert.equal(let_in.code, 0, let_in.stderr);
  assert.doesNotMatch(let_in.stdout + let_in.stderr, new RegExp(GOOD_TOKEN));
});

test("Ctrl-C keeps what has arrived, and the same command goes on from there", async () => {
  const plan = await run([MODEL]);
  assert.equal(plan.code, 2);
  hub.server.speed = 30_000;
  const { child, ended } = start([MODEL, "--yes"]);
  while (!hub.files("blobs").some((name) => name.endsWith(".incomplete"))) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  child.kill("SIGINT");
  const { code, stderr } = await ended;
  assert.equal(code, 4, stderr);
  assert.match(stderr, /what has arrived is kept/);
  assert.ok(hub.files("blobs").some((name) => name.endsWith(".incomplete")));
  hub.server.speed = undefined;
  const rest = await run([MODEL, "--yes", "--json"]);
  const { bytes, downloadedBytes } = report.parse(JSON.parse(rest.stdout));
  assert.ok(downloadedBytes < bytes, `${downloadedBytes} of ${bytes}`);
});

test("requests go through the proxy that the environment names, and its refusal is told", async () => {
  let tunnels = 0;
  let refuse = false;
  const proxy = createServer();
  proxy.on("connect", (request, socket, head) => {
    tunnels++;
    if (refuse) {
      socket.end("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    const [host, port] = (request.url ?? "").split(":");
    const hubSocket = connect(Number(port), host, () => {
      socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      hubSocket.write(head);
      hubSocket.pipe(socket).pipe(hubSocket);
    });
    for (const end of [hubSocket, socket]) end.on("error", () => end.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  try {
    const through = await run([MODEL, "--yes"], { HTTP_PROXY: address, HTTPS_PROXY: address });
    assert.equal(through.code, 0, through.stderr);
    assert.ok(tunnels > 0);
    refuse = true;
    const refused = await run(["lab/x"], { HTTP_PROXY: address, HTTPS_PROXY: address });
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /proxy .* asks for a name and password/);
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
});
