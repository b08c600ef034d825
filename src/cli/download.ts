import { createInterface } from "node:readline/promises";
import { CancelledError, InputError } from "../common/errors.ts";
import { formatBytes, formatSeconds } from "../common/format-size.ts";
import { CachedRepository } from "../hub/cache.ts";
import { HubClient } from "../hub/client.ts";
import { type DownloadProgress, download } from "../hub/download.ts";
import { repositoryName, revisionName } from "../hub/names.ts";
import { type DownloadPlan, planDownload } from "../hub/plan.ts";
import { HubRequests, proxyNamed, type Send } from "../hub/requests.ts";
import { environmentToken, hubSettings, TOKEN_PLACES } from "../hub/settings.ts";
import { UsageError } from "./arguments.ts";
import type { Command, Terminal } from "./command.ts";

/** `flowprobe download`: a model from the hub into the Hugging Face cache. */
export const downloadModel: Command = {
  name: "download",
  summary: "a model from Hugging Face into its cache",
  usage: "OWNER/NAME",
  about:
    "Downloads a model into the Hugging Face cache, where every command finds it: only the files that\n" +
    "are needed, never code or pickled weights. Size and licence are shown first. A download that was\n" +
    "stopped or cut off is continued by the same command. HF_HOME, HF_HUB_CACHE, HF_ENDPOINT,\n" +
    `HF_HUB_OFFLINE and HTTPS_PROXY are honoured; an access token is read from ${TOKEN_PLACES}.`,
  cancelled: "cancelled; what has arrived is kept, and the same command goes on from there",
  flags: {
    revision: { kind: "text", value: "R", help: "branch, tag or commit (main)" },
    yes: { kind: "flag", help: "download without asking" },
    json: { kind: "flag", help: "print one JSON object" },
  },
  async run(args, terminal) {
    const [typed, ...more] = args.positionals;
    if (typed === undefined) throw new UsageError("the model's name is missing");
    if (more.length > 0) throw new UsageError("one model at a time");
    const settings = hubSettings();
    const name = repositoryName(typed, settings.endpoint);
    const revision = revisionName(args.text("revision") ?? "main");
    if (settings.offline) {
      const repository = new CachedRepository(settings.cache, name);
      const commit = await repository.commitOf(revision);
      if (commit !== undefined) {
        const folder = repository.snapshot(commit);
        const found = { repository: name, revision, commit, folder, downloadedBytes: 0 };
        terminal.print(args.flag("json") ? JSON.stringify(found, null, 2) : inCache(folder));
        return;
      }
    }
    const client = new HubClient(
      new HubRequests(settings, {
        token: await environmentToken(),
        tokenAdvice: `set HF_TOKEN, or sign in with \`hf auth login\``,
        ...(proxyNamed() ? { send: await sendByProxy() } : {}),
      }),
    );
    terminal.status(`looking at ${name} …`);
    const plan = await planDownload(client, name, revision, terminal.signal);
    if (!args.flag("json")) for (const line of describe(plan)) terminal.print(line);
    if (!plan.complete && !args.flag("yes")) await confirm(plan, terminal);
    const folder = await download(client, plan, (at) => terminal.status(line(at)), terminal.signal);
    terminal.status("");
    if (!args.flag("json")) {
      terminal.print(plan.complete ? inCache(folder) : `downloaded  ${folder}`);
      return;
    }
    const { model, family, bytes, missingBytes: downloadedBytes } = plan;
    const { commit, licence = null, gated } = model;
    const files = plan.files.map(({ name: file, size, hash }) => ({ name: file, size, hash }));
    const found = { repository: model.name, revision, commit, licence, gated, family };
    terminal.print(JSON.stringify({ ...found, folder, bytes, downloadedBytes, files }, null, 2));
  },
};

const inCache = (folder: string) => `in the cache  ${folder}`;

function describe({ model, family, layers, heads, bytes, missingBytes, files }: DownloadPlan) {
  const there = bytes - missingBytes;
  const rest = there === 0 ? "" : `, of which ${formatBytes(there)} are in the cache`;
  return [
    `model     ${model.name} at ${model.commit.slice(0, 8)}`,
    `licence   ${model.licence ?? "not stated"}${model.gated ? " (gated)" : ""}`,
    `family    ${family}, ${layers} layers, ${heads} heads, supported`,
    `size      ${formatBytes(bytes)} in ${files.length} files${rest}`,
  ];
}

async function confirm({ missingBytes }: DownloadPlan, terminal: Terminal): Promise<void> {
  if (process.stdin.isTTY !== true) {
    throw new UsageError("nobody can be asked here whether to download that; --yes says so");
  }
  const ask = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const question = `Download ${formatBytes(missingBytes)}? [y/N] `;
    const answer = await ask.question(question, { signal: terminal.signal }).catch(() => "");
    if (!/^y(es)?$/i.test(answer.trim())) throw new CancelledError("nothing was downloaded");
  } finally {
    ask.close();
  }
}

function line({ phase, file, done, total, secondsLeft }: DownloadProgress): string {
  const share = total > 0 ? Math.floor((100 * done) / total) : 100;
  const left = secondsLeft === undefined ? "" : `, about ${formatSeconds(secondsLeft)} left`;
  const what = phase === "check" ? "checking" : "downloading";
  return `${what} ${file}: ${formatBytes(done)} of ${formatBytes(total)}, ${share} %${left}`;
}

/** Node's own `fetch` knows no proxies yet; VS Code's does. */
async function sendByProxy(): Promise<Send> {
  const { EnvHttpProxyAgent, fetch } = await import("undici");
  let dispatcher: InstanceType<typeof EnvHttpProxyAgent>;
  try {
    dispatcher = new EnvHttpProxyAgent();
  } catch {
    throw new InputError(
      "HTTPS_PROXY or HTTP_PROXY is no address; it is http://HOST:PORT, for one",
    );
  }
  // Node's Response is a copy of this one, under another type.
  return async (url, init) => (await fetch(url, { ...init, dispatcher })) as unknown as Response;
}
