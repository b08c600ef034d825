import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { campaign } from "./campaign.ts";
import { TARGETS } from "./targets.ts";

/** The same inputs in every run; long campaigns (npm run fuzz) draw others. */
const SEED = 20_261_130;

/** Each campaign has a process of its own: two at a time fill two cores. */
suite("foreign input", { concurrency: 2 }, () => {
  for (const { name, shortRuns, show } of TARGETS) {
    test(`changed inputs of ${name} end well`, async () => {
      const { runs, finding } = await campaign(name, SEED, shortRuns);
      const told = finding === null ? "" : `${finding.error}\n${show(finding.input)}`;
      assert.equal(finding, null, told);
      assert.equal(runs, shortRuns);
    });
  }
});
