import type {
  RunEvent,
  RunEventOf,
  RunTokens,
  TokenProbability,
} from "../../src/protocol/events.ts";
import { cellCount } from "../../src/protocol/grid.ts";
import { KNOCKOUT_TARGETS, type KnockoutTarget } from "../../src/protocol/vocabulary.ts";
import { pngBase64 } from "./png.ts";

/**
 * Runs with made-up numbers but of valid shape and of any size, for tests of the panel alone: the same
 * seed gives the same events. Curves rise and dip where the literature finds them to, so that pictures of
 * the panel look like what it will show.
 */
export interface SyntheticOptions {
  readonly frames?: number;
  readonly rows?: number;
  readonly columns?: number;
  /** Cells that have a token, where a model leaves some out. */
  readonly cells?: readonly number[];
  readonly layers?: number;
  readonly heads?: number;
  readonly lens?: boolean;
  readonly attention?: boolean;
  readonly targets?: readonly KnockoutTarget[];
  /** Put into the text of tokens, names and notices: what a hostile file would try. */
  readonly poison?: string;
  readonly correct?: boolean;
}

const SERIES: Readonly<Record<KnockoutTarget, readonly string[]>> = {
  "cross-frame": ["No cross-frame interactions"],
  "vql-to-ql": ["Video -/-> Question", "Video -/-> Last", "Question -/-> Last", "Last -/-> Last"],
  "question-and-options-to-last": [
    "Non-option question -/-> Last",
    "True option -/-> Last",
    "False option -/-> Last",
  ],
  "vq-to-true-opt": [
    "Video -/-> Non-option question",
    "Non-option question -/-> True option",
    "Video -/-> True option",
  ],
};

const WORDS = (
  "circle square star triangle purple orange blue green left right top middle background " +
  "the of and , a in moving rising up then after before first grows shrinks towards leaving enters"
).split(" ");
const FIRST_WORD_ID = 100;
const OPTIONS = ["Up", "Down", "Left", "Right"];
const LENS_K = 10;

/** Mulberry32: small, seeded, good enough for curves. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const bump = (x: number, centre: number, width: number) => Math.exp(-(((x - centre) / width) ** 2));

/** The events of a whole run, progress left out. */
export function syntheticRun(options: SyntheticOptions = {}): RunEvent[] {
  const { frames = 8, rows = 4, columns = 4, layers = 12, heads = 5, poison = "" } = options;
  const next = random(7);
  const grid = { frames, rows, columns };
  const { cells } = options;
  const tokens = makeTokens(cells === undefined ? grid : { ...grid, cells: [...cells] }, poison);
  const correct = options.correct ?? true;
  const answerLabel = correct ? "A" : "C";
  const prompt = {
    id: "direction",
    task: "moving direction",
    text: "USER: <image>",
    question: `In which direction does the purple circle move?${poison}`,
    options: OPTIONS.map((text, i) => ({
      label: "ABCD"[i] ?? "",
      text: text + poison,
      tokenId: 10 + i,
    })),
    answer: "A",
    keywords: ["direction"],
    template: "pllava",
  };
  const events: RunEvent[] = [
    {
      type: "run.started",
      format: "flowprobe-run",
      version: 1,
      time: "2026-01-01T00:00:00.000Z",
      model: {
        name: `flowprobe-embedded${poison}`,
        folder: "models/embedded",
        embedded: true,
        family: "pllava",
        layers,
        heads,
        kvHeads: heads,
        hiddenSize: 160,
        vocabSize: 450,
        dtype: "float32",
        tokensPerFrame: rows * columns,
      },
      video: {
        path: "samples/moving-direction-1.mp4",
        width: 128,
        height: 96,
        frameCount: 75,
        fps: 25,
        durationSeconds: 3,
        codec: "h264",
        frames: Array.from({ length: frames }, (_, i) => {
          const index = Math.round(((i + 0.5) * 75) / frames);
          return { index, timestampSeconds: index / 25 };
        }),
        crop: { x: 16, y: 0, width: 96, height: 96 },
      },
      prompt,
      tokens,
    },
    { type: "video.frames", frames: makeFrames(frames) },
    {
      type: "vocabulary",
      tokens: WORDS.map((text, i) => ({ id: FIRST_WORD_ID + i, text: text + poison })),
    },
  ];
  if (poison !== "") events.push({ type: "notice", level: "warning", message: poison });
  const label = (l: string): TokenProbability => ({
    id: 10 + "ABCD".indexOf(l),
    token: l,
    probability: 0,
  });
  let options_: Record<string, number> = {};
  for (let layer = 0; layer < layers; layer += 1) {
    const depth = layer / Math.max(1, layers - 1);
    const rise = 1 / (1 + Math.exp(-14 * (depth - 0.62)));
    const spread = OPTIONS.map(() => 0.02 + 0.22 * bump(depth, 0.55, 0.2) * next());
    spread["ABCD".indexOf(answerLabel)] = 0.02 + 0.9 * rise;
    const sum = spread.reduce((a, b) => a + b, 0.04);
    options_ = Object.fromEntries(spread.map((p, i) => ["ABCD"[i] ?? "", p / sum]));
    const top = (scale: number): TokenProbability[] =>
      Array.from({ length: 10 }, (_, i) => {
        const word = Math.floor(next() * WORDS.length);
        return i < 4
          ? { ...label("ABCD"[i] ?? ""), probability: (spread[i] ?? 0) * scale }
          : {
              id: FIRST_WORD_ID + word,
              token: (WORDS[word] ?? "") + poison,
              probability: 0.01 / (i + 1),
            };
      }).sort((a, b) => b.probability - a.probability);
    const raw = Object.fromEntries(Object.entries(options_).map(([l, p]) => [l, p * p]));
    events.push({
      type: "layer.clean",
      layer,
      normed: { options: options_, top: top(1 / sum) },
      raw: { options: layer === layers - 1 ? options_ : raw, top: top(0.5) },
      mass: makeMass(depth, heads, next),
      ...(options.lens === true ? { lens: makeLens(tokens, depth, next) } : {}),
      ...(options.attention === true ? { attention: makeAttention(tokens, depth, next) } : {}),
    });
  }
  const base = options_[answerLabel] ?? 0;
  events.push({
    type: "answer",
    answer: { ...label(answerLabel), probability: base },
    groundTruth: { ...label("A"), probability: options_.A ?? 0 },
    options: options_,
    correct,
  });
  events.push(...sweep(options.targets ?? KNOCKOUT_TARGETS, layers, base, options_.A ?? 0, next));
  events.push({ type: "run.finished", status: "done", seconds: 6.4 });
  return events;
}

function makeTokens(grid: RunTokens["grid"], poison: string): RunTokens {
  const { frames, rows, columns, cells } = grid;
  const pieces: { text: string; groups: string[] }[] = [];
  const add = (text: string, ...groups: string[]) => {
    for (const piece of text.split(/(?<=\s)|(?=[?:()])/)) pieces.push({ text: piece, groups });
  };
  add("You are a helpful assistant. USER: ", "system");
  const systemEnd = pieces.length;
  add("\n USER: ");
  add("Question: ", "question");
  add("In which ", "question", "question-only");
  add("direction ", "question", "question-only", "keyword:direction");
  add(`does the purple circle move${poison}?\n`, "question", "question-only");
  add("Options:\n", "question");
  OPTIONS.forEach((text, i) => {
    const name = i === 0 ? "true-option" : "false-options";
    add(`(${"ABCD"[i]}) ${text}\n`, "question", `option:${"ABCD"[i]}`, name);
  });
  add("Only give the best option. ASSISTANT:Best option:");
  add("(", "last");
  const video = cellCount(grid);
  const position = (i: number) => (i < systemEnd ? i : i + video);
  const groups = new Map<string, [number, number][]>();
  const put = (name: string, start: number, end: number) => {
    const spans = groups.get(name) ?? [];
    const last = spans.at(-1);
    if (last?.[1] === start) last[1] = end;
    else spans.push([start, end]);
    groups.set(name, spans);
  };
  pieces.forEach((piece, i) => {
    for (const name of piece.groups) put(name, position(i), position(i) + 1);
  });
  put("video", systemEnd, systemEnd + video);
  let start = systemEnd;
  for (let f = 0; f < frames; f += 1) {
    const own = cells?.filter((cell) => Math.floor(cell / (rows * columns)) === f).length;
    const end = start + (own ?? rows * columns);
    put(`frame:${f}`, start, end);
    start = end;
  }
  return {
    length: pieces.length + video,
    text: pieces.map(({ text }, i) => ({ position: position(i), id: 20 + i, text })),
    groups: [...groups].map(([name, spans]) => ({ name, spans })),
    grid,
  };
}

function makeFrames(frames: number): RunEventOf<"video.frames">["frames"] {
  return Array.from({ length: frames }, (_, f) => {
    const centre = { x: 64, y: 84 - (70 * f) / Math.max(1, frames - 1) };
    return {
      mime: "image/png",
      base64: pngBase64(128, 96, (x, y) => {
        const inside = Math.hypot(x - centre.x, y - centre.y) < 13;
        return inside ? [140, 70, 170] : [196 - y / 2, 205 - y / 3, 214];
      }),
    };
  });
}

const GROUPS = ["system", "video", "question", "last"];

function makeMass(depth: number, heads: number, next: () => number) {
  const size = GROUPS.length;
  const data = new Float32Array(heads * size * size);
  for (let h = 0; h < heads; h += 1) {
    for (let q = 0; q < size; q += 1) {
      const row = GROUPS.map((_, k) =>
        k <= q ? 0.1 + next() * (k === 1 ? 1.2 - depth : depth) : 0,
      );
      const sum = row.reduce((a, b) => a + b, 0);
      row.forEach((value, k) => {
        data[(h * size + q) * size + k] = value / sum;
      });
    }
  }
  const mass = { dtype: "f32" as const, shape: [heads, size, size], data };
  return { queryGroups: [...GROUPS], keyGroups: [...GROUPS], mass };
}

function videoSpan(tokens: RunTokens): [number, number] {
  return tokens.groups.find(({ name }) => name === "video")?.spans[0] ?? [0, 0];
}

function makeLens(tokens: RunTokens, depth: number, next: () => number) {
  const [start, end] = videoSpan(tokens);
  const count = end - start;
  const ids = new Int32Array(count * LENS_K);
  const probabilities = new Float32Array(count * LENS_K);
  for (let v = 0; v < count; v += 1) {
    let p = 0.2 + 0.6 * next();
    // Spatial words come early, temporal words late.
    const late = next() < depth;
    const first = late ? 19 + Math.floor(next() * 13) : Math.floor(next() * 13);
    for (let i = 0; i < LENS_K; i += 1) {
      ids[v * LENS_K + i] = FIRST_WORD_ID + ((first + i * 7) % WORDS.length);
      probabilities[v * LENS_K + i] = p;
      p *= 0.5;
    }
  }
  return {
    positions: [[start, end]] as [number, number][],
    norm: true,
    unembedding: "head" as const,
    ids: { dtype: "i32" as const, shape: [count, LENS_K], data: ids },
    probabilities: { dtype: "f32" as const, shape: [count, LENS_K], data: probabilities },
  };
}

function makeAttention(tokens: RunTokens, depth: number, next: () => number) {
  const [, end] = videoSpan(tokens);
  const queries = tokens.text.filter(({ position }) => position >= end).map((t) => t.position);
  const data = new Float32Array(queries.length * tokens.length);
  queries.forEach((query, row) => {
    let sum = 0;
    for (let key = 0; key <= query; key += 1) {
      const value = next() ** 6 + (key < end ? 0.02 * (1 - depth) : 0.02 * depth);
      data[row * tokens.length + key] = value;
      sum += value;
    }
    for (let key = 0; key <= query; key += 1) {
      data[row * tokens.length + key] = (data[row * tokens.length + key] ?? 0) / sum;
    }
  });
  const shape = [1, queries.length, tokens.length];
  return { queries, headAveraged: true, weights: { dtype: "f32" as const, shape, data } };
}

function sweep(
  targets: readonly KnockoutTarget[],
  layers: number,
  base: number,
  truth: number,
  next: () => number,
): RunEvent[] {
  const window = Math.min(9, Math.max(1, Math.round(layers / 3)));
  const names = targets.flatMap((target) => SERIES[target].map((name) => ({ target, name })));
  const events: RunEvent[] = [
    {
      type: "experiment.started",
      experiment: "knockout-1",
      kind: "knockout",
      recipe: { targets: [...targets], window, style: "center" },
      branches: names.length * layers,
    },
  ];
  for (let layer = 0; layer < layers; layer += 1) {
    names.forEach(({ target, name }, i) => {
      const depth = layer / Math.max(1, layers - 1);
      const strength = [0.75, 0.9, 0.08, 0.97, 0.03, 0.3, 0.85, 0.2, 0.4, 0.5, 0.35][i % 11] ?? 0.5;
      const centre = [0.3, 0.45, 0.4, 0.68, 0.5, 0.6, 0.72, 0.7, 0.4, 0.55, 0.5][i % 11] ?? 0.5;
      const kept = 1 - strength * bump(depth, centre, 0.2) + 0.03 * (next() - 0.5);
      const start = Math.max(0, layer - Math.floor(window / 2));
      const end = Math.min(layers, layer + Math.ceil(window / 2));
      const score = base * kept;
      events.push({
        type: "branch.result",
        experiment: "knockout-1",
        series: name,
        layer,
        window: [[start, end]],
        base_score: base,
        new_score: score,
        relative_diff: (100 * (score - base)) / base,
        gt_score: truth,
        new_score_gt: truth * kept,
        relative_diff_gt: 100 * (kept - 1),
        base_answer: "A",
        new_answer: kept < 0.35 ? "D" : "A",
        options: {
          A: score,
          B: (1 - score) * 0.2,
          C: (1 - score) * 0.3,
          D: (1 - score) * 0.5,
        },
        detail: { target },
      });
    });
  }
  events.push({ type: "experiment.finished", experiment: "knockout-1", seconds: 3.1 });
  return events;
}
