// Writes notices to a new run until the disk takes no more, while another program has appended to it
// too, and prints how that ended.
import { appendFileSync } from "node:fs";
import { encodeEvent } from "../../src/runs/codec.ts";
import { RunWriter } from "../../src/runs/writer.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";

const [path] = process.argv.slice(2);
const [started] = syntheticRun();
if (path === undefined || started === undefined) throw new Error("usage: fill-run.ts PATH");
const writer = await RunWriter.create(path);
writer.append(started);
await writer.flush();
const other = encodeEvent({ type: "notice", level: "info", message: "another window" });
appendFileSync(path, `${other}\n`);
for (let i = 0; i < 1_000; i++) {
  writer.append({ type: "notice", level: "info", message: `${i} ${"x".repeat(90)}` });
}
const early = await Promise.race([
  writer.failed.then(() => true),
  new Promise((resolve) => setTimeout(resolve, 10_000, false)),
]);
const report = await writer.close().then(
  () => ({ early }),
  (error: Error) => ({ name: error.name, message: error.message, early }),
);
console.log(JSON.stringify(report));
