import { listSupportedBackends } from "onnxruntime-node";
import { ModelError } from "../../common/errors.ts";
import type { PrecisionChoice, Provider } from "../../protocol/requests.ts";
import { Graph, type Precision } from "../graph/onnx.ts";
import { runtimeReason } from "./failure.ts";
import { floats, Session } from "./session.ts";

/** A provider that works here, and what to tell when it is not the one asked for. */
export interface ChosenProvider {
  readonly provider: Exclude<Provider, "auto">;
  readonly note: string | undefined;
}

/**
 * Finds the execution provider to use: the one asked for when it is part of this build and runs a
 * small graph, else the CPU, with a note that says why. `auto` prefers CUDA, silently.
 */
export async function chooseProvider(asked: Provider): Promise<ChosenProvider> {
  if (asked === "cpu") return { provider: "cpu", note: undefined };
  const wanted = asked === "auto" ? "cuda" : asked;
  const problem = await providerProblem(wanted);
  if (problem === undefined) return { provider: wanted, note: undefined };
  return {
    provider: "cpu",
    note:
      asked === "auto"
        ? undefined
        : `the execution provider "${asked}" cannot be used (${problem}); the CPU is used instead`,
  };
}

/**
 * What the decoder's products are computed in. On the CPU float32: ONNX Runtime multiplies no halves
 * there. On other providers `auto` is float16 for weights stored in half precision.
 *
 * @param stored the type of the decoder's weights in the checkpoint, as safetensors call it.
 */
export function choosePrecision(
  asked: PrecisionChoice,
  provider: ChosenProvider["provider"],
  stored: string,
): Precision {
  if (provider === "cpu") return "float32";
  if (asked !== "auto") return asked;
  return stored === "F32" ? "float32" : "float16";
}

async function providerProblem(
  provider: Exclude<Provider, "auto" | "cpu">,
): Promise<string | undefined> {
  if (!listSupportedBackends().some(({ name }) => name === provider)) {
    return `ONNX Runtime has no such provider on ${process.platform}-${process.arch}`;
  }
  const g = new Graph("");
  const x = g.input("x", ["n", 2]);
  g.output("y", g.op("MatMul", [x, g.floats(Float32Array.of(1, 2, 3, 4), [2, 2])]), ["n", 2]);
  try {
    const session = await Session.open(g.encode(), "", { provider, threads: 0, keepWidened: true });
    await session.run({ x: floats(Float32Array.of(1, 1), [1, 2]) });
    await session.release();
    return undefined;
  } catch (error) {
    return runtimeReason(error instanceof ModelError ? error.cause : error);
  }
}
