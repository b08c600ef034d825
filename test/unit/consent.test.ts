import assert from "node:assert/strict";
import { test } from "node:test";
import { CancelledError } from "../../src/common/errors.ts";
import { Consent } from "../../src/host/engine/consent.ts";
import { jobOfRun } from "../../src/host/engine/jobs.ts";
import { RunSession } from "../../src/host/runs/session.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";

const [started] = syntheticRun({ layers: 2 });
assert.ok(started?.type === "run.started");
const job = jobOfRun(started);
const session = (startedHere: boolean) =>
  new RunSession("file:///a.flow.jsonl", "/a.flow.jsonl", "a", job, startedHere);

/** A consent that counts how often it asks. */
function consent(trusted: boolean, agrees: boolean) {
  const asked: string[] = [];
  const hooks = {
    isTrusted: () => trusted,
    confirm: async (_: string, __: string, detail: string) => {
      asked.push(detail);
      return agrees;
    },
  };
  return { asked, consent: new Consent(hooks) };
}

test("an untrusted folder's run asks once, naming what it opens", async () => {
  const { asked, consent: given } = consent(false, true);
  const run = session(false);
  await given.require(run);
  await given.require(run);
  assert.equal(asked.length, 1);
  assert.ok(asked[0]?.includes(job.model) && asked[0].includes(job.clip.path));
  await given.require(session(false));
  assert.equal(asked.length, 2);
});

test("a refusal starts nothing, and asks again the next time", async () => {
  const { asked, consent: given } = consent(false, false);
  const run = session(false);
  await assert.rejects(given.require(run), CancelledError);
  await assert.rejects(given.require(run), CancelledError);
  assert.equal(asked.length, 2);
});

test("a trusted folder, or a run started here, is not asked about", async () => {
  const trusted = consent(true, false);
  await trusted.consent.require(session(false));
  const untrusted = consent(false, false);
  await untrusted.consent.require(session(true));
  assert.equal(trusted.asked.length + untrusted.asked.length, 0);
});
