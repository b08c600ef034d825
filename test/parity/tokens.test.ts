import assert from "node:assert/strict";
import { test } from "node:test";
import { readModelSpec } from "../../src/engine/families/registry.ts";
import { spansOf } from "../../src/prompts/groups.ts";
import { openTokenizer } from "../../src/tokenizer/tokenizer.ts";
import { CASE_NAMES, FAMILY_CASES, GENERATION_CASES, loadFixture } from "./fixtures.ts";
import { familyPrompt, promptItem, promptTokens } from "./open.ts";

for (const name of CASE_NAMES) {
  test(`${name}: prompt text, token ids, groups and option letters are the processor's`, async () => {
    const fixture = await loadFixture(name);
    const { facts, tensors, folder } = fixture;
    const tokenizer = await openTokenizer(folder);
    const { rendered, tokens } = promptTokens(fixture, tokenizer, promptItem(fixture));
    assert.equal(rendered.text, facts.prompt);
    assert.deepEqual(tokenizer.encode(rendered.text).ids, [...tensors.integers("tokens.ids").data]);
    assert.equal(tokens.length, facts.positions);
    assert.equal(tokens.videoStart, facts.imageAt);
    const groups = Object.fromEntries([...tokens.groups].map(([k, v]) => [k, spansOf(v)]));
    assert.deepEqual(groups, facts.groups);
    assert.deepEqual(
      tokens.options.map(({ tokenId }) => tokenId),
      facts.optionIds,
    );
    assert.equal(tokenizer.decode([facts.baseAnswer.id]), facts.baseAnswer.text);
  });
}

for (const name of FAMILY_CASES) {
  test(`${name}: the prompt, every token and group are what the model's own processor makes`, async () => {
    const fixture = await loadFixture(name);
    const { facts, tensors, folder } = fixture;
    const tokenizer = await openTokenizer(folder);
    const spec = await readModelSpec(folder);
    const { rendered, tokens } = await familyPrompt(fixture, spec, tokenizer);
    assert.equal(rendered.text, facts.prompt);
    assert.deepEqual([...tokens.ids], [...tensors.integers("tokens.ids").data]);
    const groups = Object.fromEntries([...tokens.groups].map(([k, v]) => [k, spansOf(v)]));
    assert.deepEqual(groups, facts.groups);
    assert.deepEqual(
      tokens.options.map(({ tokenId }) => tokenId),
      facts.optionIds,
    );
  });
}

for (const name of GENERATION_CASES) {
  test(`${name}: an open-ended prompt has the processor's tokens and groups`, async () => {
    const fixture = await loadFixture(name);
    const { generation } = fixture.facts;
    assert.ok(generation !== undefined);
    const tokenizer = await openTokenizer(fixture.folder);
    const item = { ...promptItem(fixture), options: [], answer: undefined };
    const { rendered, tokens } = promptTokens(fixture, tokenizer, item);
    assert.equal(rendered.text, generation.prompt);
    const ids = [...fixture.tensors.integers("generation.ids").data];
    assert.deepEqual(tokenizer.encode(rendered.text).ids, ids);
    assert.equal(tokens.length, generation.positions);
    const groups = Object.fromEntries([...tokens.groups].map(([k, v]) => [k, spansOf(v)]));
    assert.deepEqual(groups, generation.groups);
    for (const run of generation.runs) {
      assert.equal(tokenizer.decode(run.ids), run.text, run.series);
    }
  });
}
