import { InputError } from "../../common/errors.ts";
import type { Provider } from "../../protocol/requests.ts";

/** Longest reason that is passed on. */
const MAX_REASON = 200;
/** Where in the runtime's own source something was noticed. */
const SOURCE_PLACE = /\S*\.(?:cc|cpp|cu|cuh|h|hpp|mm):\d+\s*/;
/** The C++ function there, written out, or by its name alone. */
const SIGNATURE =
  /^[^()]*\w::[^()]*\((?:[^()]|\([^()]*\))*\)(?: const)?(?:::\s*<lambda[^>]*>)?(?: ?\[with [^\]]*\])?\s*/;
const FUNCTION = /^(?:operator\(\)|[A-Za-z_]\w*)\s+/;
const STATUS = /\[ONNXRuntimeError\] : \d+ : \w+ : /;
const CHECK = /^.* was false\.\s*/;
const OUT_OF_MEMORY =
  /bad_alloc|bad allocation|failed to allocate|cannot allocate|out of memory|smaller than requested|OUTOFMEMORY/i;

/**
 * Why ONNX Runtime failed, in one sentence of its own words: without the places, functions and checks
 * of its source, which say nothing to a user.
 */
export function runtimeReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (OUT_OF_MEMORY.test(message)) return "out of memory";
  let rest = (message.split("Status Message:").at(-1) ?? message).trim();
  for (const mark of [SOURCE_PLACE, STATUS]) {
    for (let found = mark.exec(rest); found !== null; found = mark.exec(rest)) {
      rest = rest.slice(found.index + found[0].length);
      if (mark === SOURCE_PLACE)
        rest = rest.replace(SIGNATURE.test(rest) ? SIGNATURE : FUNCTION, "");
    }
  }
  const [line = ""] = rest
    .trim()
    .replace(CHECK, "")
    .split(/\n| ; /);
  const reason = line.trim().replace(/\.$/, "");
  if (reason === "") return "ONNX Runtime gives no reason";
  return reason.length > MAX_REASON ? `${reason.slice(0, MAX_REASON)}…` : reason;
}

/** What to throw when a graph that was opened fails as it runs. */
export function runFailure(error: unknown, provider: Provider): Error {
  const reason = runtimeReason(error);
  if (reason === "out of memory") {
    const where = provider === "cpu" ? "" : ` of the execution provider "${provider}"`;
    return new InputError(
      `the memory${where} ran out; set a smaller memory budget, sample fewer frames, or close other programs`,
    );
  }
  if (provider !== "cpu") {
    return new InputError(
      `the execution provider "${provider}" failed (${reason}); choose the provider "cpu"`,
    );
  }
  return new Error(`ONNX Runtime failed: ${reason}`);
}
