import { Graph } from "../src/engine/graph/onnx.ts";
import { floats, Session } from "../src/engine/runtime/session.ts";

/** One large ONNX Runtime MatMul: the machine's own rate, measured beside the work. */
export class Gemm {
  readonly #session: Session;
  readonly #inputs: Record<string, ReturnType<typeof floats>>;
  readonly #flops: number;

  private constructor(session: Session, rows: number, inner: number, columns: number) {
    this.#session = session;
    this.#flops = 2 * rows * inner * columns;
    this.#inputs = {
      a: floats(new Float32Array(rows * inner).fill(0.5), [rows, inner]),
      b: floats(new Float32Array(inner * columns).fill(0.25), [inner, columns]),
    };
  }

  static async open(rows: number, inner: number, columns: number, threads: number): Promise<Gemm> {
    const g = new Graph("");
    const a = g.input("a", ["n", inner]);
    const b = g.input("b", [inner, columns]);
    g.output("y", g.op("MatMul", [a, b]), ["n", columns]);
    const options = { provider: "cpu", threads, keepWidened: false } as const;
    return new Gemm(await Session.open(g.encode(), "", options), rows, inner, columns);
  }

  /** Floating-point operations per second of one run. */
  async rate(): Promise<number> {
    const started = performance.now();
    await this.#session.run(this.#inputs);
    return this.#flops / ((performance.now() - started) / 1000);
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
