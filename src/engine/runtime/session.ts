import * as ort from "onnxruntime-node";
import { ModelError } from "../../common/errors.ts";
import type { Provider } from "../../protocol/requests.ts";
import { runFailure, runtimeReason } from "./failure.ts";

/** How sessions compute; the same for every session of a model. */
export interface SessionOptions {
  readonly provider: Exclude<Provider, "auto">;
  /** 0 lets ONNX Runtime choose. */
  readonly threads: number;
  /**
   * Widened and packed copies of the weights are kept in memory: faster for small models, too
   * large for big ones, whose half-precision weights stay mapped and are widened as they are used.
   */
  readonly keepWidened: boolean;
}

/** What computes: another version may round otherwise. */
export const RUNTIME = `onnxruntime ${ort.env.versions.common} ${process.arch}`;

/** A dense array on its way into or out of a session. */
export type OrtTensor = ort.Tensor;

/** A float32 tensor over the given memory; nothing is copied. */
export function floats(data: Float32Array, dims: readonly number[]): OrtTensor {
  return new ort.Tensor("float32", data, dims);
}

/** An int64 vector. */
export function indices(values: ArrayLike<number>): OrtTensor {
  const data = new BigInt64Array(values.length);
  for (let i = 0; i < values.length; i++) data[i] = BigInt(values[i] ?? 0);
  return new ort.Tensor("int64", data, [values.length]);
}

/** One small graph, ready to run. Running blocks the thread; cancel between runs. */
export class Session {
  readonly #session: ort.InferenceSession;
  readonly #provider: SessionOptions["provider"];

  private constructor(session: ort.InferenceSession, provider: SessionOptions["provider"]) {
    this.#session = session;
    this.#provider = provider;
  }

  /**
   * @param model the graph as an ONNX file's bytes.
   * @param root the folder of its external data; "" when it has none.
   * @throws ModelError when ONNX Runtime refuses the graph or cannot read its weights.
   */
  static async open(model: Uint8Array, root: string, options: SessionOptions): Promise<Session> {
    const extra: Record<string, unknown> = {
      session: {
        ...(root === "" ? {} : { model_external_initializers_file_folder_path: root }),
        ...(options.keepWidened ? {} : { disable_prepacking: "1" }),
        intra_op: { allow_spinning: "0" },
      },
      ...(options.keepWidened
        ? {}
        : { optimization: { disable_specified_optimizers: "ConstantFolding" } }),
    };
    const creating = ort.InferenceSession.create(model, {
      executionProviders: [options.provider],
      ...(options.threads > 0 ? { intraOpNumThreads: options.threads } : {}),
      interOpNumThreads: 1,
      // Each session would keep an arena at its own peak; the process's allocator is shared instead.
      enableCpuMemArena: false,
      enableMemPattern: false,
      graphOptimizationLevel: "all",
      logSeverityLevel: 3,
      extra,
    });
    const session = await creating.catch((error: unknown) => {
      const place = root === "" ? `the execution provider "${options.provider}"` : root;
      throw new ModelError(`${place}: a graph cannot be opened (${runtimeReason(error)})`, {
        cause: error,
      });
    });
    return new Session(session, options.provider);
  }

  /**
   * Runs the graph; every output of it, or those named in `into`, written to the given memory.
   *
   * @throws InputError when the memory or the execution provider fails.
   */
  async run(
    inputs: Readonly<Record<string, OrtTensor>>,
    into?: Readonly<Record<string, OrtTensor>>,
  ): Promise<Readonly<Record<string, OrtTensor>>> {
    const running =
      into === undefined ? this.#session.run(inputs) : this.#session.run(inputs, into);
    const result = await running.catch((error: unknown) => {
      throw runFailure(error, this.#provider);
    });
    return result as Readonly<Record<string, OrtTensor>>;
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** A float32 output by name. */
export function floatsOf(outputs: Readonly<Record<string, OrtTensor>>, name: string): Float32Array {
  const data = outputs[name]?.data;
  if (!(data instanceof Float32Array)) throw new Error(`output ${name} is not float32`);
  return data;
}

/** An int64 output by name, as plain integers. */
export function integersOf(outputs: Readonly<Record<string, OrtTensor>>, name: string): Int32Array {
  const data = outputs[name]?.data;
  if (!(data instanceof BigInt64Array)) throw new Error(`output ${name} is not int64`);
  return Int32Array.from(data, Number);
}
