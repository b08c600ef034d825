// A process that keeps features and reads them back: tests run several of these on one folder.
// Arguments: the folder, how many rounds, and how many such processes begin together. Prints how many
// entries were found and how many had been dropped; ends with 1 when one was damaged or wrong.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FeatureStore } from "../../src/engine/vision-cache/store.ts";

const [folder = "", rounds = "0", together = "1"] = process.argv.slice(2);
const WIDTH = 64;
const COUNT = 512;
const LAYOUT = { count: COUNT, width: WIDTH, grid: [2, 16, 16] } as const;
const KEYS = 5;
/** More entries are kept and read than fit: while one process reads, another drops. */
const store = new FeatureStore(folder, { bytes: 3.5 * 4 * WIDTH * COUNT, entries: 100 });

/** Waits until all are there that begin together: a process takes longer to start than to work. */
async function meet(): Promise<void> {
  const place = `${folder}.begin`;
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, String(process.pid)), "");
  while (existsSync(place) && readdirSync(place).length < Number(together)) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Whether an entry is there; ends the process when it is not what was written. */
async function isThere(n: number): Promise<boolean> {
  const read = await store.read(keyOf(n), LAYOUT);
  if (read.kind === "damaged") fail(`entry ${n} is damaged`);
  if (read.kind === "found" && !read.tokens.every((value) => value === n)) {
    fail(`entry ${n} holds ${read.tokens[0]}`);
  }
  return read.kind === "found";
}

function keyOf(n: number): string {
  return String(n).repeat(64);
}

function fail(why: string): never {
  console.error(why);
  process.exit(1);
}

await meet();
let found = 0;
let dropped = 0;
for (let i = 0; i < Number(rounds); i++) {
  await store.write(keyOf(i % KEYS), LAYOUT, new Float32Array(COUNT * WIDTH).fill(i % KEYS));
  for (let n = 0; n < KEYS; n++) {
    if (await isThere(n)) found++;
    else if (n <= i) dropped++;
  }
}
console.log(JSON.stringify({ found, dropped }));
