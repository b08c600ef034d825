import {
  patchGeometry,
  type WindowGeometry,
  windowGeometry,
} from "../families/shared/native-geometry.ts";
import { ropeTables } from "../families/shared/rope.ts";
import {
  type NativeModelSpec,
  type PictureSize,
  type PoolingSpec,
  tokenGrid,
} from "../families/shared/spec.ts";
import type { Products } from "../graph/onnx.ts";
import { towerGraphs } from "../graph/tower.ts";
import { floats, floatsOf, indices, type OrtTensor, type Session } from "./session.ts";

/** Patches that go through a layer together: bounds the MLP's activations. */
const PATCHES_TOGETHER = 8192;
/** What an empty place of a window gets: its weight is then zero. */
const EMPTY = -3.4028234663852886e38;

/** Called after each unit of a vision tower's work; throws to stop. */
export type VisionProgress = (done: number, total: number) => void;

/** A vision tower for pictures of any size, with what turns its squares of patches into tokens. */
export class NativeTower {
  readonly #spec: NativeModelSpec;
  readonly #patches: Session;
  readonly #layers: readonly Session[];
  readonly #merger: Session;

  private constructor(
    spec: NativeModelSpec,
    patches: Session,
    layers: readonly Session[],
    merger: Session,
  ) {
    this.#spec = spec;
    this.#patches = patches;
    this.#layers = layers;
    this.#merger = merger;
  }

  /**
   * @param products how those with weights are computed.
   * @param open makes a session of a graph, with the model's options.
   */
  static async open(
    spec: NativeModelSpec,
    products: Products,
    open: (graph: Uint8Array) => Promise<Session>,
  ): Promise<NativeTower> {
    const graphs = towerGraphs(spec, products);
    const layers: Session[] = [];
    for (const graph of graphs.layers) layers.push(await open(graph));
    const patches = await open(graphs.patches);
    return new NativeTower(spec, patches, layers, await open(graphs.connector));
  }

  /**
   * Frames to video tokens.
   *
   * @param pixels [frames, 3, height, width], normalised; where patches cover several frames and the
   *   last group lacks some, its last frame stands for them.
   * @returns tokens [video tokens, d]: groups of frames, then rows, then columns; and their grid.
   */
  async videoTokens(
    pixels: Float32Array,
    frames: number,
    picture: PictureSize,
    progress: VisionProgress,
  ): Promise<{ tokens: Float32Array; grid: PoolingSpec }> {
    const { vision, decoder } = this.#spec;
    const grid = tokenGrid(this.#spec, frames, picture);
    const { patches, order, rows, columns } = patchGeometry(vision, grid);
    const rope = ropeTables(vision.rope, [rows, columns]);
    const turns = {
      cos: floats(rope.cos, [patches, 1, vision.hiddenSize / vision.heads]),
      sin: floats(rope.sin, [patches, 1, vision.hiddenSize / vision.heads]),
    };
    const { windowSide } = vision;
    const windows = windowSide === undefined ? undefined : windowGeometry(vision, windowSide, grid);
    const together = Math.max(1, Math.floor(PATCHES_TOGETHER / patches));
    const tokens = new Float32Array(grid.frames * grid.rows * grid.columns * decoder.hiddenSize);
    const units = Math.ceil(grid.frames / together) * (vision.layers.length + 2);
    let done = 0;
    let at = 0;
    for (let first = 0; first < grid.frames; first += together) {
      const some = Math.min(together, grid.frames - first);
      const shape = [some, 3 * vision.patchFrames, picture.height, picture.width];
      const part = groupFrames(pixels, frames, vision.patchFrames, first, some);
      const patched = await this.#patches.run({
        pixels: floats(part, shape),
        order: indices(order),
      });
      let x = floatsOf(patched, "x");
      progress(++done, units);
      const places = windows === undefined ? {} : windowInputs(windows, some);
      for (const [i, layer] of this.#layers.entries()) {
        const inputs = { x: floats(x, [some, patches, vision.hiddenSize]), ...turns };
        const windowed = vision.layers[i]?.windowed === true;
        x = floatsOf(await layer.run(windowed ? { ...inputs, ...places } : inputs), "y");
        progress(++done, units);
      }
      const merged = await this.#merger.run({ x: floats(x, [some, patches, vision.hiddenSize]) });
      const found = floatsOf(merged, "y");
      tokens.set(found, at);
      at += found.length;
      progress(++done, units);
    }
    return { tokens, grid };
  }

  async release(): Promise<void> {
    for (const session of [this.#patches, ...this.#layers, this.#merger]) await session.release();
  }
}

/** Multiply-adds of a tower over a clip whose tokens stand in `grid`. */
export function nativeMultiplyAdds({ vision }: NativeModelSpec, grid: PoolingSpec): number {
  const square = vision.merge * vision.merge;
  const patches = grid.rows * grid.columns * square;
  const { windowSide } = vision;
  const window = windowSide === undefined ? patches : Math.min(patches, windowSide ** 2 * square);
  const perPatch = vision.layers.map((layer) => {
    const { gate, up, down, out, windowed } = layer;
    const mlp = [...(gate === undefined ? [] : [gate]), up, down, out];
    const matrices = mlp.reduce((sum, { weight }) => sum + elements(weight.shape), 0);
    const attention = 2 * (windowed ? window : patches) * vision.hiddenSize;
    return matrices + 3 * vision.hiddenSize ** 2 + attention;
  });
  return grid.frames * patches * perPatch.reduce((sum, work) => sum + work, 0);
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Frames [frames, 3, pixels] as groups [some, 3, frames of a group, pixels], from the `first` on. */
function groupFrames(
  pixels: Float32Array,
  frames: number,
  size: number,
  first: number,
  some: number,
): Float32Array {
  const plane = pixels.length / (frames * 3);
  const out = new Float32Array(some * 3 * size * plane);
  let at = 0;
  for (let group = first; group < first + some; group++) {
    for (let channel = 0; channel < 3; channel++) {
      for (let i = 0; i < size; i++) {
        const frame = Math.min(group * size + i, frames - 1);
        const from = (frame * 3 + channel) * plane;
        out.set(pixels.subarray(from, from + plane), at);
        at += plane;
      }
    }
  }
  return out;
}

function windowInputs(geometry: WindowGeometry, pictures: number): Record<string, OrtTensor> {
  const { windows, size, gather, scatter, filled } = geometry;
  const bias = new Float32Array(pictures * filled.length);
  for (let i = 0; i < bias.length; i++) bias[i] = filled[i % filled.length] === 1 ? 0 : EMPTY;
  return {
    gather: indices(gather),
    scatter: indices(scatter),
    bias: floats(bias, [pictures * windows, 1, 1, size]),
  };
}
