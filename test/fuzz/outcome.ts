import { CancelledError, InputError, ModelError } from "../../src/common/errors.ts";
import type { Mutated } from "./mutate.ts";
import type { Target } from "./target.ts";

/** Processor time that one input may take: a file of a few kilobytes, on any machine. */
const MAX_CPU_MS = 6_000;
/** Memory that one input may add to the process. */
const MAX_GROWTH_BYTES = 800_000_000;
/** Longest message of an error. */
const MAX_MESSAGE = 20_000;

/** Runs one input. @throws Error that says what is wrong with its outcome. */
export async function judge(target: Target, input: Mutated): Promise<void> {
  const cpu = process.cpuUsage();
  const rss = process.memoryUsage.rss();
  await target.run(input).catch(judgeError);
  const { user, system } = process.cpuUsage(cpu);
  const ms = (user + system) / 1000;
  if (ms > MAX_CPU_MS) throw new Error(`took ${Math.round(ms)} ms of processor time`);
  const grown = process.memoryUsage.rss() - rss;
  if (grown > MAX_GROWTH_BYTES) throw new Error(`took ${Math.round(grown / 1e6)} MB of memory`);
}

function judgeError(error: unknown): void {
  const isClean =
    error instanceof InputError || error instanceof ModelError || error instanceof CancelledError;
  if (!isClean) throw error;
  const { message } = error;
  if (message.length > MAX_MESSAGE) throw new Error(`a message of ${message.length} characters`);
  // What follows is in the words of the template's own library.
  const [own = ""] = message.split("template cannot be run:");
  if (/\bundefined\b|\[object /.test(own)) throw new Error(`an unclear message: ${message}`);
}
