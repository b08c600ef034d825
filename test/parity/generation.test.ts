import assert from "node:assert/strict";
import { test } from "node:test";
import { planGeneration } from "../../src/engine/experiments/generation.ts";
import type { RunEvent } from "../../src/protocol/events.ts";
import { GENERATION_CASES } from "./fixtures.ts";
import { Errors } from "./measure.ts";
import { mergedEmbeddings, openCase, promptItem, promptTokens } from "./open.ts";

/** Groups that each cut of the fixture goes between. */
const CUTS: Readonly<Record<string, readonly [from: string, to: string]>> = {
  "Video -/-> Last": ["video", "last"],
  "Video -/-> Question": ["video", "question"],
  "Question -/-> Last": ["question", "last"],
  "Last -/-> Last": ["last", "last"],
  "No cross-frame interactions": ["cross-frame", "cross-frame"],
};

for (const name of GENERATION_CASES) {
  test(`${name}: greedy answers, clean and cut, are transformers' token by token`, async (t) => {
    const opened = await openCase(name);
    const { model, tokenizer, tensors, facts } = opened;
    const { generation } = facts;
    assert.ok(generation !== undefined);
    assert.deepEqual(model.spec.endTokenIds, [generation.eos]);
    const item = { ...promptItem(opened), options: [], answer: undefined };
    const { tokens } = promptTokens(opened, tokenizer, item);
    const video = tensors.floats("vision.pooled").data;
    const prompt = {
      embeddings: await mergedEmbeddings(model, tokens, video),
      length: tokens.length,
      options: [],
      truthId: undefined,
      tokenText: (id: number) => tokenizer.tokenText(id),
    };
    const { layers, heads } = facts;
    const cuts = generation.runs.slice(1).map(({ series, layers: cut }) => {
      const [from, to] = CUTS[series] ?? [];
      const [first, last] = [cut[0], cut.at(-1)];
      assert.ok(from && to && first !== undefined && last !== undefined, series);
      assert.equal(cut.length, last - first + 1, "a range of layers");
      return { name: series, from, to, layers: [first, last] as const };
    });
    const told: RunEvent[] = [];
    const work = planGeneration(
      { kind: "generation", maxTokens: generation.steps, cuts },
      { groups: tokens.groups, length: tokens.length, layers, heads },
    );
    await work.run("generation", {
      model,
      prompt: { ...prompt, observer: () => ({ headAveraged: true }) },
      decode: (ids) => tokenizer.decode(ids),
      settings: { memoryBudgetBytes: 1 << 30, signal: new AbortController().signal },
      sink: (event) => told.push(event),
    });
    const errors = new Errors();
    for (const run of generation.runs) {
      const found = told.flatMap((event) =>
        event.type === "generation.token" && event.series === run.series ? [event] : [],
      );
      // The end token ends an answer and is not told.
      const ids: readonly number[] = run.ids.filter((id) => id !== generation.eos);
      assert.deepEqual(
        found.map(({ token }) => token.id),
        ids,
        run.series,
      );
      assert.equal(found.at(-1)?.text, tokenizer.decode(ids));
      errors.probability(
        run.series,
        found.map(({ token }) => token.probability),
        run.probabilities.slice(0, ids.length),
      );
    }
    await model.release();
    errors.settle(t);
  });
}
