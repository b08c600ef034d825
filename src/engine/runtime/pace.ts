import { Graph } from "../graph/onnx.ts";
import { floats, Session, type SessionOptions } from "./session.ts";

const ROWS = 512;
const WIDTH = 1536;

/**
 * The machine's pace in multiply-adds a second, from one small matrix product: what time forecasts
 * start from, before the work itself tells. Takes some tens of milliseconds.
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
  const started = performance.now();
  await session.run(inputs);
  const seconds = (performance.now() - started) / 1000;
  await session.release();
  return (ROWS * WIDTH * WIDTH) / seconds;
}
