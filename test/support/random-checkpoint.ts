import { createHash } from "node:crypto";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { randomSource } from "../../src/common/random.ts";

/** Sizes of a random LLaVA checkpoint; weights are drawn so that attention is peaked. */
export interface RandomSizes {
  readonly hidden: number;
  readonly inner: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocab: number;
  readonly dtype: "F32" | "BF16";
  readonly seed: number;
  /** Side of the vision tower's picture and of a patch, in pixels; 16 and 4 without it. */
  readonly picture?: { readonly image: number; readonly patch: number };
  /** The vision tower's sizes; tiny ones without it. */
  readonly tower?: TowerSizes;
}

export interface TowerSizes {
  readonly hidden: number;
  readonly inner: number;
  /** The last of them is not read (vision_feature_layer -2), and not written. */
  readonly layers: number;
  readonly heads: number;
}

/** The smallest that has all parts: for what is read of a checkpoint, not computed with it. */
export const TINY = {
  hidden: 16,
  inner: 24,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 6,
  vocab: 20,
  dtype: "F32",
  seed: 3,
} as const satisfies RandomSizes;

const TOWER: TowerSizes = { hidden: 16, inner: 24, layers: 2, heads: 2 };
const PICTURE = { image: 16, patch: 4 };
const CHUNK = 1 << 22;

/**
 * Writes a LLaVA-layout checkpoint with random weights (config.json and model.safetensors), or
 * leaves one that is there alone. Weights have variance 1/fan-in.
 */
export async function randomCheckpoint(folder: string, sizes: RandomSizes): Promise<string> {
  const target = join(folder, `random-${markOf(sizes)}`);
  if (existsSync(join(target, "config.json"))) return target;
  mkdirSync(target, { recursive: true });
  const path = join(target, "model.safetensors");
  await writeTensors(path, shapesOf(sizes), sizes.dtype, new Noise(sizes.seed));
  writeFileSync(join(target, "config.json"), JSON.stringify(configOf(sizes)));
  return target;
}

/** How a checkpoint lies in a Hugging Face cache. */
export interface CacheLayout {
  readonly shards: number;
  /** What lies beside the weights (tokenizer, processor), by file name. */
  readonly files: Readonly<Record<string, string>>;
  /** Keys added to config.json. */
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * Writes a random checkpoint the way the hub's clients store one: sharded, each file a symbolic link
 * from its snapshot into the blobs. Leaves one that is there alone.
 *
 * @returns the snapshot's folder.
 */
export async function cachedCheckpoint(
  folder: string,
  sizes: RandomSizes,
  layout: CacheLayout,
): Promise<string> {
  const repository = join(folder, `models--random--${markOf({ sizes, layout })}`);
  const blobs = join(repository, "blobs");
  const snapshot = join(repository, "snapshots", "main");
  if (existsSync(join(snapshot, "config.json"))) return snapshot;
  mkdirSync(blobs, { recursive: true });
  mkdirSync(snapshot, { recursive: true });
  const link = (name: string) => {
    const blob = markOf(name);
    symlinkSync(join("..", "..", "blobs", blob), join(snapshot, name));
    return join(blobs, blob);
  };
  const noise = new Noise(sizes.seed);
  const shapes = shapesOf(sizes);
  const perShard = Math.ceil(shapes.length / layout.shards);
  const map: Record<string, string> = {};
  for (let i = 0; i < layout.shards; i++) {
    const some = shapes.slice(i * perShard, (i + 1) * perShard);
    const of = String(layout.shards).padStart(5, "0");
    const name = `model-${String(i + 1).padStart(5, "0")}-of-${of}.safetensors`;
    await writeTensors(link(name), some, sizes.dtype, noise);
    for (const [tensor] of some) map[tensor] = name;
  }
  writeFileSync(link("model.safetensors.index.json"), JSON.stringify({ weight_map: map }));
  for (const [name, text] of Object.entries(layout.files)) writeFileSync(link(name), text);
  const config = { ...configOf(sizes), ...layout.config };
  writeFileSync(link("config.json"), JSON.stringify(config));
  return snapshot;
}

function markOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 12);
}

/** Writes tensors of noise as a safetensors file. */
async function writeTensors(
  path: string,
  shapes: readonly (readonly [name: string, shape: readonly number[]])[],
  dtype: RandomSizes["dtype"],
  noise: Noise,
): Promise<void> {
  const bytes = dtype === "F32" ? 4 : 2;
  const header: Record<string, unknown> = {};
  let offset = 0;
  for (const [name, shape] of shapes) {
    const length = shape.reduce((a, b) => a * b, bytes);
    header[name] = { dtype, shape, data_offsets: [offset, offset + length] };
    offset += length;
  }
  let text = JSON.stringify(header);
  text += " ".repeat((8 - (text.length % 8)) % 8);
  const file = await open(path, "w");
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  await file.write(prefix);
  await file.write(text);
  for (const [name, shape] of shapes) {
    const count = shape.reduce((a, b) => a * b, 1);
    const isNorm = shape.length === 1 && name.endsWith("weight");
    const scale = isNorm ? 0.1 : name.includes("embed") ? 1 : 1.3 / Math.sqrt(fanIn(shape));
    // Large tensors repeat one stretch of noise: their sizes matter, not every value.
    const values = noise.draw(Math.min(CHUNK, count), scale, isNorm ? 1 : 0);
    const stretch = dtype === "F32" ? new Uint8Array(values.buffer) : toBf16(values);
    for (let done = 0; done < count; done += CHUNK) {
      await file.write(stretch, 0, Math.min(CHUNK, count - done) * bytes);
    }
  }
  await file.close();
}

function fanIn(shape: readonly number[]): number {
  return shape.length > 1 ? shape.slice(1).reduce((a, b) => a * b, 1) : (shape[0] ?? 1);
}

function configOf(sizes: RandomSizes) {
  const picture = sizes.picture ?? PICTURE;
  const tower = sizes.tower ?? TOWER;
  return {
    model_type: "llava",
    image_token_index: 4,
    vision_feature_layer: -2,
    text_config: {
      model_type: "llama",
      hidden_size: sizes.hidden,
      intermediate_size: sizes.inner,
      num_hidden_layers: sizes.layers,
      num_attention_heads: sizes.heads,
      num_key_value_heads: sizes.kvHeads,
      head_dim: sizes.headDim,
      vocab_size: sizes.vocab,
      rms_norm_eps: 1e-5,
    },
    vision_config: {
      model_type: "clip_vision_model",
      hidden_size: tower.hidden,
      intermediate_size: tower.inner,
      num_hidden_layers: tower.layers,
      num_attention_heads: tower.heads,
      image_size: picture.image,
      patch_size: picture.patch,
    },
  };
}

function shapesOf(sizes: RandomSizes): [string, number[]][] {
  const { hidden, inner, heads, kvHeads, headDim, vocab } = sizes;
  const v = { ...(sizes.tower ?? TOWER), ...(sizes.picture ?? PICTURE) };
  const patches = (v.image / v.patch) ** 2;
  const vision = "vision_tower.vision_model.";
  const shapes: [string, number[]][] = [
    [`${vision}embeddings.class_embedding`, [v.hidden]],
    [`${vision}embeddings.patch_embedding.weight`, [v.hidden, 3, v.patch, v.patch]],
    [`${vision}embeddings.position_embedding.weight`, [patches + 1, v.hidden]],
    [`${vision}pre_layrnorm.weight`, [v.hidden]],
    [`${vision}pre_layrnorm.bias`, [v.hidden]],
  ];
  const linear = (name: string, out: number, input: number) =>
    shapes.push([`${name}.weight`, [out, input]], [`${name}.bias`, [out]]);
  for (let i = 0; i < v.layers - 1; i++) {
    const layer = `${vision}encoder.layers.${i}.`;
    for (const part of ["q_proj", "k_proj", "v_proj", "out_proj"]) {
      linear(`${layer}self_attn.${part}`, v.hidden, v.hidden);
    }
    linear(`${layer}mlp.fc1`, v.inner, v.hidden);
    linear(`${layer}mlp.fc2`, v.hidden, v.inner);
    for (const norm of ["layer_norm1", "layer_norm2"]) {
      shapes.push([`${layer}${norm}.weight`, [v.hidden]], [`${layer}${norm}.bias`, [v.hidden]]);
    }
  }
  linear("multi_modal_projector.linear_1", hidden, v.hidden);
  linear("multi_modal_projector.linear_2", hidden, hidden);
  const decoder = "language_model.model.";
  shapes.push([`${decoder}embed_tokens.weight`, [vocab, hidden]]);
  for (let i = 0; i < sizes.layers; i++) {
    const layer = `${decoder}layers.${i}.`;
    shapes.push(
      [`${layer}input_layernorm.weight`, [hidden]],
      [`${layer}self_attn.q_proj.weight`, [heads * headDim, hidden]],
      [`${layer}self_attn.k_proj.weight`, [kvHeads * headDim, hidden]],
      [`${layer}self_attn.v_proj.weight`, [kvHeads * headDim, hidden]],
      [`${layer}self_attn.o_proj.weight`, [hidden, heads * headDim]],
      [`${layer}post_attention_layernorm.weight`, [hidden]],
      [`${layer}mlp.gate_proj.weight`, [inner, hidden]],
      [`${layer}mlp.up_proj.weight`, [inner, hidden]],
      [`${layer}mlp.down_proj.weight`, [hidden, inner]],
    );
  }
  shapes.push(
    [`${decoder}norm.weight`, [hidden]],
    ["language_model.lm_head.weight", [vocab, hidden]],
  );
  return shapes;
}

/** Seeded noise, nearly normal (a sum of uniforms), fast enough for billions of weights. */
export class Noise {
  /** Uniform in [0, 1). */
  readonly next: () => number;

  constructor(seed: number) {
    this.next = randomSource(seed);
  }

  /** `count` values of the given standard deviation around `mean`. */
  draw(count: number, scale: number, mean = 0): Float32Array {
    const values = new Float32Array(count);
    const factor = scale * Math.sqrt(6);
    for (let i = 0; i < count; i++) values[i] = mean + factor * (this.next() + this.next() - 1);
    return values;
  }
}

function toBf16(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(values.buffer);
  const half = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) half[i] = ((bits[i] ?? 0) + 0x8000) >>> 16;
  return new Uint8Array(half.buffer);
}
