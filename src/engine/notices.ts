import type { ModelSpec } from "./families/shared/spec.ts";

/** What the user should know of a model and a prompt of `length` tokens before trusting a run. */
export function modelNotices(spec: ModelSpec, length: number): string[] {
  const { maxPositions, rope } = spec.decoder;
  if (length <= maxPositions) return [...spec.notices];
  const turns =
    rope.dynamic === undefined
      ? ""
      : "; its rotation is scaled to that length, as transformers does";
  return [
    ...spec.notices,
    `the prompt has ${length} tokens, more than the ${maxPositions} that the model was trained for ` +
      `(max_position_embeddings)${turns}: fewer frames or a shorter question would fit`,
  ];
}
