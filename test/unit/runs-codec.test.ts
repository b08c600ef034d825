import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { roundToFloat24 } from "../../src/common/float24.ts";
import type { RunEvent, RunEventOf, Tensor } from "../../src/protocol/events.ts";
import { decodeEvent, encodeEvent, newerVersion } from "../../src/runs/codec.ts";
import { splitLines } from "../../src/runs/lines.ts";
import { syntheticRun } from "../panel/synthetic-run.ts";

function decoded(line: string): RunEvent {
  const found = decodeEvent(line);
  assert.equal(found.kind, "event");
  return found.kind === "event" ? found.event : assert.fail();
}

function problem(line: string): string {
  const found = decodeEvent(line);
  return found.kind === "problem" ? found.message : assert.fail(`${found.event.type} was read`);
}

test("every event of a whole run comes back from its line as it was", () => {
  for (const event of syntheticRun({ lens: true, attention: true })) {
    const line = encodeEvent(event);
    assert.ok(!line.includes("\n"));
    assert.deepEqual(decoded(line), event);
  }
});

test("tensors of every element type keep their bits, and do not share a buffer", () => {
  const tensors: Tensor[] = [
    { dtype: "f32", shape: [2, 2], data: Float32Array.of(1.5, -0, Number.NaN, 3.4e38) },
    { dtype: "f24", shape: [3], data: roundToFloat24(Float32Array.of(0.1, -1e-30, 1)) },
    { dtype: "f16", shape: [3], data: Uint16Array.of(0x3c00, 0x7c00, 0x8001) },
    { dtype: "i32", shape: [1, 2], data: Int32Array.of(-1, 2 ** 31 - 1) },
    { dtype: "u8", shape: [0, 5], data: new Uint8Array() },
  ];
  for (const weights of tensors) {
    const event = layerWith(weights);
    const back = decoded(encodeEvent(event));
    assert.ok(back.type === "layer.clean" && back.attention !== undefined);
    assert.deepEqual(back.attention.weights, weights);
    assert.equal(back.attention.weights.data.buffer.byteLength, weights.data.byteLength);
  }
});

test("the elements stand in the line as little-endian base64", () => {
  const line = encodeEvent(layerWith({ dtype: "i32", shape: [1], data: Int32Array.of(1) }));
  assert.ok(line.includes('"weights":{"dtype":"i32","shape":[1],"base64":"AQAAAA=="}'), line);
});

test("a view into a larger buffer is written alone", () => {
  const data = new Float32Array([9, 1, 2, 9]).subarray(1, 3);
  const back = decoded(encodeEvent(layerWith({ dtype: "f32", shape: [2], data })));
  assert.deepEqual(back.type === "layer.clean" && back.attention?.weights.data, data.slice());
});

test("a tensor whose shape does not fit its data is no event", () => {
  const line = encodeEvent(layerWith({ dtype: "i32", shape: [1], data: Int32Array.of(1) }));
  assert.match(problem(line.replace('"shape":[1]', '"shape":[2]')), /attention\.weights/);
  assert.match(problem(line.replace('"shape":[1]', '"shape":[-1]')), /attention\.weights/);
  assert.match(problem(line.replace('"shape":[1]', '"shape":[1e9,1e9]')), /attention\.weights/);
  assert.match(problem(line.replace("AQAAAA==", "AQAA")), /attention\.weights/);
  assert.match(problem(line.replace('"i32"', '"i64"')), /attention\.weights/);
});

test("what is wrong with a line is said in a few words, however long the line", () => {
  assert.equal(problem("{"), "is not JSON");
  assert.equal(problem("[]"), "is not an event: it has no type");
  assert.equal(problem("null"), "is not an event: it has no type");
  assert.match(problem('{"type":"run.pondered"}'), /unknown type, "run.pondered"/);
  assert.ok(problem(JSON.stringify({ type: "x".repeat(1_000_000) })).length < 400);
  assert.match(problem('{"type":"notice","level":"loud","message":"m"}'), /notice event: level/);
});

test("no line makes the reader throw", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
      decodeEvent(line);
    }),
  );
  decodeEvent("[".repeat(200_000));
  decodeEvent(
    `{"type":"notice","level":"info","message":${"[".repeat(50_000)}${"]".repeat(50_000)}}`,
  );
});

test("a key such as __proto__ in a hostile line stays a key", () => {
  const line =
    '{"type":"experiment.started","experiment":"a","kind":"what-if","branches":1,' +
    '"recipe":{"__proto__":{"polluted":true}},"__proto__":{"polluted":true}}';
  decodeEvent(line);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

test("a newer version of the format is said, this one's is not", () => {
  const [started] = syntheticRun();
  assert.ok(started?.type === "run.started");
  assert.equal(newerVersion(started), undefined);
  assert.match(newerVersion({ ...started, version: 7 }) ?? "", /format version 7; .* version 2/);
});

test("lines are cut at line breaks wherever the chunks end", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: fc.constantFrom("a", "é", "\n", "😀", "\r") })),
      fc.integer({ min: 1, max: 5 }),
      async (parts, size) => {
        const text = parts.join("");
        const bytes = Buffer.from(text, "utf8");
        const found: string[] = [];
        for await (const line of splitLines(chunksOf(bytes, size), 1_000)) {
          assert.equal(line.kind, "line");
          assert.equal(line.number, found.length + 1);
          if (line.kind === "line") found.push(line.ended ? `${line.text}\n` : line.text);
        }
        assert.equal(found.join(""), text);
      },
    ),
  );
});

test("an overlong line is passed over without gathering it, and the next one is read", async () => {
  const found: unknown[] = [];
  async function* chunks() {
    yield Buffer.from("ok\n");
    for (let i = 0; i < 100; i++) yield Buffer.alloc(1 << 20, "x");
    yield Buffer.from("\nlast");
  }
  const before = process.memoryUsage().arrayBuffers;
  for await (const line of splitLines(chunks(), 10)) found.push(line);
  assert.ok(process.memoryUsage().arrayBuffers - before < 200e6);
  assert.deepEqual(found, [
    { kind: "line", number: 1, text: "ok", ended: true },
    { kind: "too-long", number: 2 },
    { kind: "line", number: 3, text: "last", ended: false },
  ]);
});

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size)
    yield bytes.subarray(start, start + size);
}

function layerWith(weights: Tensor): RunEventOf<"layer.clean"> {
  const reading = { options: { A: 0.5 }, top: [{ id: 1, token: "A", probability: 0.5 }] };
  return {
    type: "layer.clean",
    layer: 0,
    normed: reading,
    raw: reading,
    attention: { queries: [3], headAveraged: true, weights },
  };
}
