import { Graph } from "../graph/onnx.ts";
import { floats, Session, type SessionOptions } from "./session.ts";

const ROWS = 512;
const WIDTH = 1536;
/** The middle one counts: on a busy machine a single run can take many times as long as the next. */
const RUNS = 21;

/**
 * The machine's pace in multiply-adds a second, from a small matrix product: what time forecasts
 * start from, before the work itself tells. Takes some tenths of a second.
 */
export async function measurePace(options: SessionOptions): Promise<number> {
  const g = new Graph("");
  const a = g.input("a", ["n", WIDTH]);
  const b = g.input("b", [WIDTH, WIDTH]);
  g.output("y", g.op("MatMul", [a, b]), ["n", WIDTH]);
  const session = await Session.open(g.encode(), "", options);
  const inputs = {
    a: floats(new Float32Array(ROWS * WIDTH).fill(0.5), [ROWS, WIDTH]),
    b: floats(new Float32Array(WIDTH * WIDTH).fill(0.5), [WIDTH, WIDTH]),
  };
  await session.run(inputs);
  const seconds: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const started = performance.now();
    await session.run(inputs);
    seconds.push((performance.now() - started) / 1000);
  }
  await session.release();
  const middle = seconds.sort((a, b) => a - b)[RUNS >> 1] ?? Number.NaN;
  return (ROWS * WIDTH * WIDTH) / middle;
}
