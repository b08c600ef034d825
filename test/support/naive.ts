import { type Positions, promptTables } from "../../src/engine/families/shared/rope.ts";
import type { OpenModel } from "../../src/engine/runtime/model.ts";
import { floats, floatsOf } from "../../src/engine/runtime/session.ts";
import { BLOCKED, buildBias } from "../../src/engine/trace/bias.ts";
import { type Branch, forEachBlockedKey } from "../../src/engine/trace/interventions.ts";
import { range } from "../../src/engine/trace/rows.ts";

/**
 * The oracle: one masked full forward for one branch, nothing planned and nothing shared. Every row
 * is computed at every layer, under a full S x S mask. Slow; kept to prove the joint pass, and to
 * be measured against.
 *
 * @param embeddings [S, d]
 * @param atLayer sees the residual stream [S, d] after each layer, patches included.
 * @param rowPositions where the rows stand for the decoder's rotation; absent: 0 … S-1.
 */
export async function naiveForward(
  model: OpenModel,
  embeddings: Float32Array,
  branch: Branch,
  atLayer: (layer: number, hidden: Float32Array) => void,
  rowPositions?: Positions,
): Promise<void> {
  const { decoder } = model.spec;
  const width = decoder.hiddenSize;
  const length = embeddings.length / width;
  const positions = range(0, length);
  const rope = promptTables(decoder.rope, length, rowPositions);
  const session = await model.attention({ own: "none", weights: false, mass: false });
  let hidden: Float32Array = embeddings.slice();
  patch(branch, -1, hidden, width);
  for (const [layer, { projection, residual }] of model.layers.entries()) {
    const { heads, kvHeads, headDim } = decoder;
    const projected = await projection.run({
      x: floats(hidden, [length, width]),
      cos: floats(rope.cos, [length, 1, headDim]),
      sin: floats(rope.sin, [length, 1, headDim]),
    });
    const bias = fullMask(model, branch, layer, positions);
    const attended = await session.run({
      q: floats(floatsOf(projected, "q"), [1, length, heads * headDim]),
      ks: floats(floatsOf(projected, "k"), [length, kvHeads * headDim]),
      vs: floats(floatsOf(projected, "v"), [length, kvHeads * headDim]),
      bias,
    });
    const outputs = await residual.run({
      x: floats(hidden, [length, width]),
      context: floats(floatsOf(attended, "context"), [length, heads * headDim]),
    });
    hidden = floatsOf(outputs, "y");
    patch(branch, layer, hidden, width);
    atLayer(layer, hidden);
  }
}

function fullMask(model: OpenModel, branch: Branch, layer: number, positions: Int32Array) {
  const { heads, kvHeads } = model.spec.decoder;
  const length = positions.length;
  const cuts = branch.interventions.filter(
    (item) => item.kind === "knockout" && item.layers.has(layer),
  );
  const byHead = cuts.some((cut) => cut.kind === "knockout" && cut.heads !== undefined);
  const none = { id: -1, blocks: [], byHead };
  const { data, dims } = buildBias(model.spec.decoder, positions, positions, [none]);
  const window = model.spec.decoder.layers[layer]?.window ?? length;
  for (let at = 0; at < data.length; at++) {
    const query = Math.floor(at / length) % length;
    if ((at % length) + window <= query) data[at] = BLOCKED;
  }
  for (const cut of cuts) {
    if (cut.kind !== "knockout") continue;
    for (let head = 0; head < (byHead ? heads : 1); head++) {
      if (cut.heads !== undefined && !cut.heads.includes(head)) continue;
      for (let query = 0; query < length; query++) {
        const base = (head * length + query) * length;
        forEachBlockedKey(cut.edges, query, (key) => {
          data[base + key] = BLOCKED;
        });
      }
    }
  }
  return floats(data, byHead ? [kvHeads, 1, heads / kvHeads, length, length] : dims);
}

function patch(branch: Branch, layer: number, hidden: Float32Array, width: number): void {
  for (const item of branch.interventions) {
    if (item.kind !== "patch" || item.layer !== layer) continue;
    item.positions.forEach((position, row) => {
      for (let c = 0; c < width; c++) {
        const value = item.values[row * width + c] ?? 0;
        const at = position * width + c;
        hidden[at] = item.mode === "set" ? value : (hidden[at] ?? 0) + value;
      }
    });
  }
}
