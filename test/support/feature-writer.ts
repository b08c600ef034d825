// A process that keeps features and reads them back: tests run several of these on one folder.
// Arguments: the folder, and how many rounds. Prints how many entries were found; ends with 1 when
// one was damaged or wrong.
import { FeatureStore } from "../../src/engine/vision-cache/store.ts";

const [folder = "", rounds = "0"] = process.argv.slice(2);
const WIDTH = 64;
const COUNT = 512;
const ENTRY_BYTES = 4 * WIDTH * COUNT;
const store = new FeatureStore(folder, { bytes: 3.5 * ENTRY_BYTES, entries: 100 });
let found = 0;
for (let i = 0; i < Number(rounds); i++) {
  // More entries than fit: while one process reads, another drops.
  const n = i % 5;
  const key = String(n).repeat(64);
  const layout = { count: COUNT, width: WIDTH, grid: [2, 16, 16] } as const;
  await store.write(key, layout, new Float32Array(COUNT * WIDTH).fill(n));
  const other = (i + 3) % 5;
  const read = await store.read(String(other).repeat(64), layout);
  if (read.kind === "damaged") {
    console.error(`entry ${other} is damaged in round ${i}`);
    process.exit(1);
  }
  if (read.kind === "found") {
    found++;
    if (!read.tokens.every((value) => value === other)) {
      console.error(`entry ${other} holds ${read.tokens[0]}`);
      process.exit(1);
    }
  }
}
console.log(found);
