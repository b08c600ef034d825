import { constants } from "node:os";

/** The engine's process ended by itself: out of memory, or a fault in a native library. */
export class EngineDiedError extends Error {
  override readonly name = "EngineDiedError";
}

/** How a process ended, as Node tells it. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What it printed on stderr, as far as it says why (`LastLines`). */
  readonly lastLines: readonly string[];
}

/** Windows tells Ctrl-C by its NTSTATUS as exit code. */
const CONTROL_C = 0xc000013a;

/** Whether a process was ended by Ctrl-C, which a terminal sends to all processes of a command. */
export function wasInterrupted({ code, signal }: Pick<ProcessEnd, "code" | "signal">): boolean {
  return signal === "SIGINT" || code === CONTROL_C || signalOf(code) === "SIGINT";
}

const OUT_OF_MEMORY =
  "Most likely the machine ran out of memory. Set a smaller memory budget, sample fewer frames, or " +
  "close other programs.";
const FAULT =
  "A native library failed. Try again; if it happens again, choose the execution provider `cpu`, " +
  "and report it with the log.";

/** Windows tells a fault by its NTSTATUS as exit code. */
const ACCESS_VIOLATION = 0xc0000005;
const NO_MEMORY = 0xc0000017;

/** What happened to the engine's process, in one message that says what to do. */
export function describeEnd({ code, signal, lastLines }: ProcessEnd): string {
  const how = signal === null ? `exit code ${shown(code)}` : signal;
  const printed = lastLines.length === 0 ? "" : `\nLast output:\n${lastLines.join("\n")}`;
  return `The engine's process ended unexpectedly (${how}). ${advice({ code, signal, lastLines })} What was found so far is kept.${printed}`;
}

function shown(code: number | null): string {
  if (code === null) return "unknown";
  return code > 0xffff ? `0x${code.toString(16)}` : String(code);
}

function advice({ code, signal, lastLines }: ProcessEnd): string {
  const said = lastLines.join("\n");
  if (/out of memory|bad_alloc|failed to allocate|cannot allocate/i.test(said))
    return OUT_OF_MEMORY;
  const ended = signal ?? signalOf(code);
  switch (ended) {
    case "SIGKILL":
      return OUT_OF_MEMORY;
    case "SIGBUS":
      return "A file of the model could not be read, or was changed while it was in use. Check the disk and the model folder, and try again.";
    case "SIGABRT":
    case "SIGSEGV":
    case "SIGILL":
    case "SIGFPE":
      return FAULT;
    default:
      break;
  }
  if (code === NO_MEMORY) return OUT_OF_MEMORY;
  if (code === ACCESS_VIOLATION) return FAULT;
  return "Try again; if it happens again, report it with the log.";
}

/** A shell tells a signal as 128 and its number. */
function signalOf(code: number | null): string | undefined {
  if (code === null || code <= 128 || code > 128 + 64) return undefined;
  return Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
}
