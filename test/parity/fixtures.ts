import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { readSafetensorsHeader } from "../../src/engine/checkpoint/safetensors.ts";

/** The cases of cases.py that make.py has written. */
export const CASE_NAMES = [
  "a-old-names",
  "b-gqa-sharded",
  "c-tied-uneven",
  "d-bf16",
  "e-f16",
  "f-llava-base",
  "f-llava-next",
  "g-linear-bias",
  "g-llama3-full",
  "o-mistral-window",
  "o-qwen2-windows",
  "o-dynamic-beyond",
  "o-dynamic-within",
] as const;
/** Cases of other families: the clean run and one sweep. */
export const FAMILY_CASES = [
  "h-next-video",
  "i-onevision",
  "j-internvl",
  "j-internvl-6b",
  "j-internvl-qwen3",
  "k-smolvlm",
  "l-mini-internvl",
  "l-internvl-v1",
  "l-internvl-qwen2",
  "l-internvl-internlm2",
] as const;
/** Qwen2.5-VL and Qwen2-VL, whose rows stand at three positions each. */
export const QWEN_CASES = ["m-qwen2-5-vl", "m-qwen2-5-vl-nested", "m-qwen2-vl"] as const;
/** VideoLLaMA3, whose frames have as many tokens as changed. */
export const VIDEOLLAMA3_CASES = ["n-video-llama-3", "n-videollama3"] as const;
export type CaseName =
  | (typeof CASE_NAMES)[number]
  | (typeof FAMILY_CASES)[number]
  | (typeof QWEN_CASES)[number]
  | (typeof VIDEOLLAMA3_CASES)[number];

/** Cases with an answer in words too. */
export const GENERATION_CASES = [
  "b-gqa-sharded",
  "g-linear-bias",
  "o-mistral-window",
  "o-qwen2-windows",
  "o-dynamic-beyond",
  "o-dynamic-within",
] as const;
/** Cases with every lens variant, whole distributions of a sweep, and weights of cut runs. */
export const DETAILED_CASES = ["b-gqa-sharded", "d-bf16"] as const;
/** Cases with a random control of the pathways. */
export const RANDOM_CASES = ["a-old-names", "b-gqa-sharded", "g-llama3-full"] as const;

/** Half-open ranges of positions. */
export type Spans = readonly (readonly [start: number, end: number])[];

export interface TokenFact {
  readonly id: number;
  readonly text: string;
  readonly probability: number;
}

/** Probabilities of the clean answer and of the truth when intervened, and the new answer's id. */
export type Figures = readonly [newScore: number, newScoreGt: number, newAnswer: number];

/** One branch: cuts and changes of the residual stream; README.md says what each is there for. */
export interface Point {
  readonly name: string;
  readonly blocks: readonly {
    readonly queries: Spans;
    readonly keys: Spans;
    readonly layers: readonly number[];
    readonly heads: readonly number[] | null;
  }[];
  readonly residual: readonly {
    readonly kind: "set" | "add";
    /** After these layers; -1 is the input embeddings. */
    readonly layers: readonly number[];
    readonly positions: Spans;
    /** Key of the rows [positions, d]. */
    readonly vectors: string;
  }[];
  readonly figures: Figures;
}

/** 1-based inclusive layer ranges, as in the paper's table. */
type Keep = readonly [first: number, last: number];

/** expected.json of a case. */
export interface Facts {
  readonly about: string;
  readonly prompt: string;
  readonly system: string;
  readonly question: string;
  readonly options: readonly string[];
  /** Index of the right option. */
  readonly answer: number;
  readonly keyword: string;
  readonly frames: readonly [count: number, height: number, width: number];
  /** Which arrived frame stands at each place once too few were repeated. */
  readonly frameOrder: readonly number[];
  /** null: every token of the tower is kept. */
  readonly pooling: readonly [frames: number, rows: number, columns: number] | null;
  /** Of families whose prompt may tell the clip's times: what the processor was told of it. */
  readonly seen?: {
    readonly indices: readonly number[];
    readonly fps: number;
    readonly totalFrames: number;
  };
  /** S, with the video tokens in place of the placeholder at `imageAt`. */
  readonly positions: number;
  readonly imageAt: number;
  readonly videoFrames: number;
  readonly tokensPerFrame: number;
  readonly layers: number;
  readonly heads: number;
  readonly vocab: number;
  readonly groups: Readonly<Record<string, Spans>>;
  readonly massGroups: readonly string[];
  /** Token of each option's letter. */
  readonly optionIds: readonly number[];
  readonly baseAnswer: TokenFact;
  readonly groundTruth: TokenFact;
  readonly sweeps: {
    /** Series of each target; tensors list the series of all targets in this order. */
    readonly targets: Readonly<Record<string, readonly string[]>>;
    readonly windows: readonly number[];
    readonly styles: readonly string[];
  };
  readonly pathways: {
    readonly keep: Readonly<Record<"cross_frame" | "video_to_question" | "question_to_last", Keep>>;
    readonly edgesLeft: number;
    readonly edgesLeftCount: number;
    readonly edges: number;
    readonly pathway: Figures;
    readonly random?: Figures;
    readonly randomEdgesPerLayer?: readonly number[];
  };
  readonly points: readonly Point[];
  readonly generation?: {
    readonly prompt: string;
    readonly positions: number;
    readonly steps: number;
    /** Generation ends after this token. */
    readonly eos: number;
    readonly groups: Readonly<Record<string, Spans>>;
    readonly runs: readonly {
      readonly series: string;
      readonly layers: readonly number[];
      readonly ids: readonly number[];
      readonly text: string;
      readonly probabilities: readonly number[];
    }[];
  };
}

/** A dense row-major array. */
export interface Stored<T> {
  readonly shape: readonly number[];
  readonly data: T;
}

type SafetensorsHeader = Awaited<ReturnType<typeof readSafetensorsHeader>>;

/** The arrays of one safetensors file, by key; a wrong key or type is an error of the test. */
export class StoredTensors {
  readonly #bytes: Buffer;
  readonly #header: SafetensorsHeader;

  private constructor(bytes: Buffer, header: SafetensorsHeader) {
    this.#bytes = bytes;
    this.#header = header;
  }

  static async read(file: string): Promise<StoredTensors> {
    return new StoredTensors(await readFile(file), await readSafetensorsHeader(file));
  }

  keys(): string[] {
    return [...this.#header.keys()];
  }

  has(key: string): boolean {
    return this.#header.has(key);
  }

  floats(key: string): Stored<Float32Array> {
    return this.#read(key, "F32", (buffer) => new Float32Array(buffer));
  }

  integers(key: string): Stored<Int32Array> {
    return this.#read(key, "I32", (buffer) => new Int32Array(buffer));
  }

  bytes(key: string): Stored<Uint8Array> {
    return this.#read(key, "U8", (buffer) => new Uint8Array(buffer));
  }

  #read<T>(key: string, dtype: string, view: (buffer: ArrayBuffer) => T): Stored<T> {
    const entry = this.#header.get(key);
    if (entry === undefined || entry.dtype !== dtype) {
      throw new Error(`no ${dtype} array ${key}; there are ${this.keys().join(", ")}`);
    }
    // A copy of its own, because the file's offsets need not be aligned to the element.
    const copy = new Uint8Array(entry.length);
    copy.set(this.#bytes.subarray(entry.offset, entry.offset + entry.length));
    return { shape: entry.shape, data: view(copy.buffer) };
  }
}

/** One case: its checkpoint folder, the frames that go in, and what must come out. */
export interface Fixture {
  readonly name: string;
  readonly folder: string;
  readonly facts: Facts;
  readonly tensors: StoredTensors;
  /** uint8 RGB [T, H, W, 3], as `facts.frames` says. */
  readonly frames: Uint8Array;
}

const FIXTURES = fileURLToPath(new URL("fixtures/", import.meta.url));

export async function loadFixture(name: CaseName): Promise<Fixture> {
  const folder = join(FIXTURES, name);
  return {
    name,
    folder,
    facts: await readJson<Facts>(join(folder, "expected.json")),
    tensors: await StoredTensors.read(join(folder, "expected.safetensors")),
    frames: new Uint8Array(await readFile(join(folder, "frames.rgb"))),
  };
}

/** One preprocessing case: a picture, a preprocessor_config.json, and the bytes that must come out. */
export interface PreprocessingCase {
  readonly name: string;
  readonly source: Stored<Uint8Array>;
  readonly processor: Readonly<Record<string, unknown>>;
  readonly height: number;
  readonly width: number;
  /** Rows 0, n, 2n … of the result are stored. */
  readonly everyNthRow: number;
  /** [stored rows, width, 3], before scaling and normalising. */
  readonly expected: Stored<Uint8Array>;
  /** Normalised values [3, every 16th row, width], in one case. */
  readonly pixelValues: Stored<Float32Array> | undefined;
}

interface PreprocessingFacts {
  readonly sources: Readonly<Record<string, { height: number; width: number; file?: string }>>;
  readonly cases: readonly (Pick<
    PreprocessingCase,
    "name" | "processor" | "height" | "width" | "everyNthRow"
  > & { readonly source: string })[];
}

export async function loadPreprocessing(): Promise<PreprocessingCase[]> {
  const folder = join(FIXTURES, "preprocessing");
  const facts = await readJson<PreprocessingFacts>(join(folder, "expected.json"));
  const tensors = await StoredTensors.read(join(folder, "expected.safetensors"));
  const sources = new Map<string, Stored<Uint8Array>>();
  for (const [name, { height, width, file }] of Object.entries(facts.sources)) {
    const data =
      file === undefined
        ? pattern(height, width)
        : new Uint8Array(gunzipSync(await readFile(join(folder, file))));
    sources.set(name, { shape: [height, width, 3], data });
  }
  return facts.cases.map((item) => {
    const source = sources.get(item.source);
    if (source === undefined) throw new Error(`${item.name}: no source ${item.source}`);
    const values = `${item.name}.pixel_values`;
    return {
      ...item,
      source,
      expected: tensors.bytes(item.name),
      pixelValues: tensors.has(values) ? tensors.floats(values) : undefined,
    };
  });
}

/** The large pictures, reckoned as preprocessing.py does. */
function pattern(height: number, width: number): Uint8Array {
  const out = new Uint8Array(height * width * 3);
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) out[at++] = ((x * 7 + y * 13 + c * 31) ^ ((x * y) >> 3)) & 255;
    }
  }
  return out;
}

/** Positions of spans, in order. */
export function positionsOf(spans: Spans): Int32Array {
  return Int32Array.from(
    spans.flatMap(([start, end]) => Array.from({ length: end - start }, (_, i) => start + i)),
  );
}

/** Element at a multi-dimensional index of a stored array, or the sub-array where indices are left. */
export function slice(stored: Stored<Float32Array>, ...index: readonly number[]): Float32Array {
  const rest = stored.shape.slice(index.length).reduce((product, extent) => product * extent, 1);
  const at = index.reduce((sum, i, axis) => sum * (stored.shape[axis] ?? 1) + i, 0);
  return stored.data.subarray(at * rest, (at + 1) * rest);
}

async function readJson<T>(file: string): Promise<T> {
  return JSON.parse(await readFile(file, "utf8")) as T;
}
