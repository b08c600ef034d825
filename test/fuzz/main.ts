// Long campaigns over every reader of foreign input, from a new seed each:
// npm run fuzz -- --minutes 10 [--target config] [--seed 1]. Ends with a table, and with exit code 1
// when anything was found; each finding is printed with its smallest input.
import { parseArgs } from "node:util";
import { campaign, type Finding } from "./campaign.ts";
import { TARGETS } from "./targets.ts";

/** Runs of a target between two looks at the clock. */
const ROUNDS = 4;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    target: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
  },
});
const minutes = Number(values.minutes);
const targets = TARGETS.filter(({ name }) => values.target === undefined || name === values.target);
if (!(minutes > 0) || targets.length === 0) {
  console.error(
    `usage: npm run fuzz -- --minutes N [--target ${TARGETS.map((t) => t.name).join("|")}]`,
  );
  process.exit(2);
}

const end = Date.now() + minutes * 60_000;
const done = new Map(targets.map(({ name }) => [name, { runs: 0, findings: [] as Finding[] }]));
let seed = Number(values.seed);
console.log(`seed ${seed}`);
do {
  for (const target of targets) {
    const counted = done.get(target.name);
    if (counted === undefined || Date.now() >= end) continue;
    const { runs, finding } = await campaign(target.name, seed, target.shortRuns * ROUNDS);
    counted.runs += runs;
    if (finding === null || counted.findings.some(({ error }) => same(error, finding.error)))
      continue;
    counted.findings.push(finding);
    console.log(`\n${target.name}, seed ${seed}: ${finding.error}\n${target.show(finding.input)}`);
    console.log(`replay: ${JSON.stringify(finding.input)}`);
  }
  seed += 1;
} while (Date.now() < end);

console.log("\ntarget            inputs  findings");
for (const [name, { runs, findings }] of done) {
  console.log(
    `${name.padEnd(14)} ${String(runs).padStart(9)} ${String(findings.length).padStart(9)}`,
  );
}
for (const { close } of targets) await close?.();
process.exit([...done.values()].some(({ findings }) => findings.length > 0) ? 1 : 0);

/** Whether two errors come from the same place: their first lines without numbers. */
function same(a: string, b: string): boolean {
  const mark = (error: string) => error.split("\n").slice(0, 2).join(" ").replace(/\d+/g, "0");
  return mark(a) === mark(b);
}
