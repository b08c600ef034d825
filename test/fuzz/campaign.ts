import { fork } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sourceSwitches } from "../../src/engine/service/environment.ts";
import type { Edit, Mutated } from "./mutate.ts";
import type { WorkerOrder, WorkerReport } from "./worker.ts";

/** An input that makes a target hang does so for longer than this, on any machine. */
const HANG_MS = 60_000;
/** Heap of a worker: what needs more of a small input is a finding. */
const HEAP_MIB = 1_500;

/** An input that goes wrong. */
export interface Finding {
  readonly target: string;
  readonly input: Mutated;
  readonly error: string;
}

/** How a campaign of one target ended. */
export interface CampaignResult {
  readonly runs: number;
  readonly finding: Finding | null;
}

/**
 * Runs inputs of a target in a process of its own, from a seed. A finding is made small: by
 * fast-check where the process lives, by leaving out changes where an input hangs or kills it.
 */
export async function campaign(
  target: string,
  seed: number,
  runs: number,
): Promise<CampaignResult> {
  const ended = await order(target, { kind: "campaign", seed, runs });
  if (ended.report !== undefined) {
    const { runs: done, finding } = ended.report;
    return { runs: done, finding: finding === null ? null : { target, ...finding } };
  }
  if (ended.input === undefined) throw new Error(`${target}: ${ended.how}`);
  const finding = await smallest(target, ended.input, ended.how);
  return { runs: 0, finding: { target, ...finding } };
}

/** Runs one input by itself; null when its outcome is fine. */
export async function replay(target: string, input: Mutated): Promise<Finding | null> {
  const { report, how } = await order(target, { kind: "one", input });
  if (report === undefined) return { target, input, error: how };
  return report.finding === null ? null : { target, ...report.finding };
}

async function smallest(
  target: string,
  input: Mutated,
  how: string,
): Promise<{ input: Mutated; error: string }> {
  let found = { input, error: how };
  for (let i = 0; i < found.input.edits.length && found.input.edits.length > 1; ) {
    const edits: Edit[] = found.input.edits.filter((_, at) => at !== i);
    const smaller = await replay(target, { ...found.input, edits });
    if (smaller === null) i += 1;
    else found = { input: smaller.input, error: smaller.error };
  }
  return found;
}

interface Ended {
  readonly report?: WorkerReport;
  readonly input?: Mutated | undefined;
  /** How the process ended where it did not report. */
  readonly how: string;
}

function order(target: string, work: WorkerOrder["work"]): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), "flowprobe-fuzz-"));
  const current = join(folder, "current.json");
  const child = fork(fileURLToPath(new URL("./worker.ts", import.meta.url)), [], {
    execArgv: [...sourceSwitches(), `--max-old-space-size=${HEAP_MIB}`],
    env: { ...process.env, TMPDIR: folder, FLOWPROBE_CACHE: "off" },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  return new Promise<Ended>((resolve) => {
    let said = "";
    child.stderr?.on("data", (text: Buffer) => {
      said = (said + text.toString()).slice(-2_000);
    });
    const underWay = (): Mutated | undefined =>
      existsSync(current) ? JSON.parse(readFileSync(current, "utf8")) : undefined;
    let timer: NodeJS.Timeout | undefined;
    const end = (ended: Ended) => {
      clearTimeout(timer);
      child.kill("SIGKILL");
      resolve(ended);
    };
    const watch = () => {
      clearTimeout(timer);
      timer = setTimeout(() => end({ input: underWay(), how: `hangs for ${HANG_MS} ms` }), HANG_MS);
    };
    child.on("message", (message: "alive" | WorkerReport) => {
      if (message === "alive") watch();
      else end({ report: message, how: "" });
    });
    child.once("close", (code, signal) =>
      end({ input: underWay(), how: `kills the process (${signal ?? code}): ${said}` }),
    );
    watch();
    const sent: WorkerOrder = { target, current, work };
    child.send(sent);
  }).finally(() =>
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }),
  );
}
