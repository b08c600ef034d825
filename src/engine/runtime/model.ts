import type { EngineSettings } from "../../protocol/requests.ts";
import {
  isNative,
  type ModelSpec,
  outputsOf,
  type PictureSize,
  type PoolingSpec,
  patchSide,
  poolingOf,
  type SquareModelSpec,
  tokenGrid,
  trailingTokens,
} from "../families/shared/spec.ts";
import { type AttentionVariant, attentionGraph } from "../graph/attention.ts";
import {
  embeddingGraph,
  projectionGraph,
  residualGraph,
  type Unembedding,
  unembedGraph,
} from "../graph/decoder.ts";
import type { Precision, Products } from "../graph/onnx.ts";
import { towerGraphs } from "../graph/tower.ts";
import { chooseBlockBytes } from "./block-size.ts";
import { keepsHead } from "./budget.ts";
import { NativeTower, nativeMultiplyAdds, type VisionProgress } from "./native-tower.ts";
import { allFinite, notFinite } from "./not-finite.ts";
import { measurePace } from "./pace.ts";
import { poolTokens } from "./pooling.ts";
import { choosePrecision, chooseProvider } from "./provider.ts";
import { floats, floatsOf, indices, Session, type SessionOptions } from "./session.ts";

/** Models with no more weight bytes than this keep widened, packed copies of their weights. */
const KEEP_WIDENED_BYTES = 256 * 1024 * 1024;
/** Vision frames that go through a layer together: bounds the tokens² scores. */
const VISION_SCORES = 24_000_000;

/** The two halves of a decoder layer, around its attention. */
export interface LayerSessions {
  readonly projection: Session;
  readonly residual: Session;
}

interface VisionSessions {
  readonly patches: Session;
  readonly layers: readonly Session[];
  readonly connector: Session;
}

/** Video tokens [count, d], their grid, and the features [frames, kept tokens, d] they were made of. */
interface VideoTokens {
  readonly tokens: Float32Array;
  readonly features: Float32Array;
  readonly grid: PoolingSpec;
}

/** How an open model computes. */
interface Computing {
  readonly options: SessionOptions;
  readonly products: Products;
  /** See `keepsHead` of the memory budget. */
  readonly keepsHead: boolean;
  readonly providerNote: string | undefined;
}

/** How weights are held while a model is open. */
export interface WeightsHeld {
  /** See SessionOptions. */
  readonly keepWidened?: boolean;
  /** See Products. */
  readonly blockBytes?: number;
}

/** A model whose graphs are open: sessions are made once and live until `release`. */
export class OpenModel {
  readonly spec: ModelSpec;
  readonly layers: readonly LayerSessions[];
  /** What to tell when the execution provider asked for could not be used. */
  readonly providerNote: string | undefined;
  /** What the products with the decoder's weights are computed in. */
  readonly precision: Precision;
  readonly #options: SessionOptions;
  /** How products outside the decoder's layers are computed. */
  readonly #towerProducts: Products;
  readonly #keepsHead: boolean;
  #pace: number | undefined;
  readonly #embedding: Session;
  readonly #attention = new Map<string, Session>();
  readonly #unembedding = new Map<Unembedding, Session>();
  #vision: VisionSessions | undefined;
  #tower: NativeTower | undefined;

  private constructor(
    spec: ModelSpec,
    { options, products, keepsHead, providerNote }: Computing,
    embedding: Session,
    layers: readonly LayerSessions[],
  ) {
    this.spec = spec;
    this.providerNote = providerNote;
    this.precision = products.precision;
    this.#towerProducts = { precision: "float32", blockBytes: products.blockBytes };
    this.#options = options;
    this.#keepsHead = keepsHead;
    this.#embedding = embedding;
    this.layers = layers;
  }

  /**
   * Opens the decoder's graphs; the vision tower's and the attention's follow when first used.
   *
   * @param weights how they are held; by default as the model's size and the machine ask for.
   */
  static async open(
    spec: ModelSpec,
    settings: EngineSettings,
    weights: WeightsHeld = {},
  ): Promise<OpenModel> {
    const keepWidened = weights.keepWidened ?? decoderBytes(spec) <= KEEP_WIDENED_BYTES;
    const { provider, note } = await chooseProvider(settings.provider);
    const options: SessionOptions = { provider, threads: settings.threads, keepWidened };
    const precision = choosePrecision(settings.precision ?? "auto", provider, decoderDtype(spec));
    const open = (graph: Uint8Array) => Session.open(graph, spec.root, options);
    const blockBytes = weights.blockBytes ?? (await blockBytesOf(spec, options));
    const products: Products = { precision, blockBytes };
    const layers: LayerSessions[] = [];
    for (const layer of spec.decoder.layers) {
      layers.push({
        projection: await open(projectionGraph(spec.root, spec.decoder, layer, products)),
        residual: await open(residualGraph(spec.root, spec.decoder, layer, products)),
      });
    }
    const computing = {
      options,
      products,
      keepsHead: keepsHead(spec.decoder, settings.memoryBudgetBytes),
      providerNote: note,
    };
    return new OpenModel(spec, computing, await open(embeddingGraph(spec)), layers);
  }

  /** The execution provider that computes. */
  get provider(): SessionOptions["provider"] {
    return this.#options.provider;
  }

  /** The machine's pace in multiply-adds a second, measured once. */
  async pace(): Promise<number> {
    this.#pace ??= await measurePace(this.#options);
    return this.#pace;
  }

  /** Opens ahead what the first run needs besides the decoder's layers. */
  async warm(): Promise<void> {
    const { spec } = this;
    if (isNative(spec)) {
      this.#tower ??= await NativeTower.open(spec, this.#towerProducts, (graph) =>
        this.#openGraph(graph),
      );
    } else {
      await this.#openVision(spec);
    }
    await this.unembedding("head");
  }

  /** The attention session of a variant; weight-free, shared by all layers. */
  async attention(variant: AttentionVariant): Promise<Session> {
    const key = JSON.stringify(variant);
    const known = this.#attention.get(key);
    if (known !== undefined) return known;
    const session = await Session.open(
      attentionGraph(this.spec.decoder, variant),
      "",
      this.#options,
    );
    this.#attention.set(key, session);
    return session;
  }

  /** The unembedding session over the output head or the input embedding matrix. */
  async unembedding(kind: Unembedding): Promise<Session> {
    const known = this.#unembedding.get(kind);
    if (known !== undefined) return known;
    const session = await Session.open(
      unembedGraph(this.spec, kind, this.#towerProducts),
      this.spec.root,
      {
        ...this.#options,
        keepWidened: this.#options.keepWidened || (kind === "head" && this.#keepsHead),
      },
    );
    this.#unembedding.set(kind, session);
    return session;
  }

  /**
   * Token ids [n] to embeddings [n, d].
   *
   * @throws ModelError when one of them is not finite.
   */
  async embed(ids: ArrayLike<number>): Promise<Float32Array> {
    const rows = floatsOf(await this.#embedding.run({ ids: indices(ids) }), "x");
    if (allFinite(rows)) return rows;
    const { root, decoder } = this.spec;
    const what = "the prompt's embeddings are not finite";
    throw await notFinite(root, what, decoder.embedding, "the embeddings changed while in use");
  }

  /**
   * Frames to video tokens: tower, connector, pooling.
   *
   * @param pixels [frames, 3, height, width], normalised.
   * @param picture their size, where the model takes any.
   * @returns tokens [video tokens, d], frame-major, then row, then column, then those that belong to
   *   no frame; the grid of the frames' tokens; features [frames, kept tokens, d] before what
   *   averages over time.
   * @throws ModelError when they are not finite.
   */
  async videoTokens(
    pixels: Float32Array,
    frames: number,
    progress: VisionProgress,
    picture?: PictureSize,
  ): Promise<VideoTokens> {
    const found = await this.#videoTokens(pixels, frames, progress, picture);
    if (allFinite(found.tokens)) return found;
    const { root, vision, connector } = this.spec;
    throw await notFinite(
      root,
      "the video's features are not finite",
      [connector, vision],
      "the numbers of its vision tower are not those of a trained model",
    );
  }

  async #videoTokens(
    pixels: Float32Array,
    frames: number,
    progress: VisionProgress,
    picture: PictureSize | undefined,
  ): Promise<VideoTokens> {
    const { spec } = this;
    if (isNative(spec)) {
      if (picture === undefined) throw new Error("this model's pictures have a size of their own");
      this.#tower ??= await NativeTower.open(spec, this.#towerProducts, (graph) =>
        this.#openGraph(graph),
      );
      const found = await this.#tower.videoTokens(pixels, frames, picture, progress);
      return { ...found, features: found.tokens };
    }
    const { vision } = spec;
    const pooling = poolingOf(spec, frames);
    const grid = tokenGrid(spec, frames);
    const sessions = await this.#openVision(spec);
    const count = visionTokens(vision);
    const batch = Math.max(1, Math.floor(VISION_SCORES / (vision.heads * count * count)));
    const pixelsPerFrame = 3 * vision.imageSize * vision.imageSize;
    const parts: Float32Array[] = [];
    let newline: Float32Array | undefined;
    const units = Math.ceil(frames / batch) * (vision.layers.length + 2);
    let done = 0;
    for (let first = 0; first < frames; first += batch) {
      const some = Math.min(batch, frames - first);
      const part = pixels.subarray(first * pixelsPerFrame, (first + some) * pixelsPerFrame);
      const shape = [some, 3, vision.imageSize, vision.imageSize];
      let x = floatsOf(await sessions.patches.run({ pixels: floats(part, shape) }), "x");
      progress(++done, units);
      for (const layer of sessions.layers) {
        x = floatsOf(await layer.run({ x: floats(x, [some, count, vision.hiddenSize]) }), "y");
        progress(++done, units);
      }
      const out = await sessions.connector.run({ x: floats(x, [some, count, vision.hiddenSize]) });
      parts.push(floatsOf(out, "y"));
      if (trailingTokens(this.spec) > 0) newline = floatsOf(out, "newline");
      progress(++done, units);
    }
    const features = joined(parts);
    if (pooling !== undefined) {
      const tokens = poolTokens(features, frames, patchSide(vision), pooling);
      return { tokens, features, grid };
    }
    const tokens = newline === undefined ? features : joined([features, newline]);
    return { tokens, features, grid };
  }

  async release(): Promise<void> {
    const sessions = [
      this.#embedding,
      ...this.layers.flatMap(({ projection, residual }) => [projection, residual]),
      ...this.#attention.values(),
      ...this.#unembedding.values(),
      ...(this.#vision === undefined
        ? []
        : [this.#vision.patches, ...this.#vision.layers, this.#vision.connector]),
    ];
    for (const session of sessions) await session.release();
    await this.#tower?.release();
  }

  #openGraph(graph: Uint8Array): Promise<Session> {
    return Session.open(graph, this.spec.root, this.#options);
  }

  async #openVision(spec: SquareModelSpec): Promise<VisionSessions> {
    if (this.#vision !== undefined) return this.#vision;
    const graphs = towerGraphs(spec, this.#towerProducts);
    const layers: Session[] = [];
    for (const graph of graphs.layers) layers.push(await this.#openGraph(graph));
    this.#vision = {
      patches: await this.#openGraph(graphs.patches),
      layers,
      connector: await this.#openGraph(graphs.connector),
    };
    return this.#vision;
  }
}

/** The size of blocks in which weights are widened as they are used; undefined where none are. */
async function blockBytesOf(spec: ModelSpec, options: SessionOptions): Promise<number | undefined> {
  const weight = spec.decoder.layers[0]?.up.weight;
  if (options.provider !== "cpu" || options.keepWidened || weight === undefined) return undefined;
  return chooseBlockBytes(spec.root, weight, options);
}

/** The type in which the decoder's matrices are stored. */
export function decoderDtype({ decoder }: ModelSpec): string {
  return decoder.layers[0]?.query.weight.dtype ?? decoder.embedding.dtype;
}

/** Bytes of the decoder's stored weights, its embeddings included. */
export function decoderBytes(spec: ModelSpec): number {
  const { layers, embedding, head } = spec.decoder;
  const perLayer = layers.map((layer) =>
    [layer.query, layer.key, layer.value, layer.out, layer.gate, layer.up, layer.down].reduce(
      (sum, weights) =>
        sum + (weights.weight.length / (weights.weight.shape[0] ?? 1)) * outputsOf(weights),
      0,
    ),
  );
  const total = perLayer.reduce((sum, bytes) => sum + bytes, 0);
  return total + embedding.length + (head === embedding ? 0 : head.length);
}

/**
 * Multiply-adds of the vision tower over some frames.
 *
 * @param picture their prepared size, where the model takes any.
 */
export function visionMultiplyAdds(spec: ModelSpec, frames: number, picture?: PictureSize): number {
  if (isNative(spec)) return nativeMultiplyAdds(spec, tokenGrid(spec, frames, picture));
  const { vision } = spec;
  const tokens = visionTokens(vision);
  const perLayer = vision.layers.map(({ query, key, value, out, up, down }) =>
    [query, key, value, out, up, down].reduce(
      (sum, weights) => sum + outputsOf(weights) * (weights.weight.shape[1] ?? 1),
      2 * tokens * vision.hiddenSize,
    ),
  );
  return frames * tokens * perLayer.reduce((sum, work) => sum + work, 0);
}

/** Tokens of one frame inside the tower: its patches, and the class token where there is one. */
function visionTokens(vision: SquareModelSpec["vision"]): number {
  return patchSide(vision) ** 2 + (vision.classEmbedding === undefined ? 0 : 1);
}

/** Arrays one after another. */
function joined(parts: readonly Float32Array[]): Float32Array {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
