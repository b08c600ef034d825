/**
 * The closed sets of words that requests, events and files share. Plain constants: what imports
 * them needs no schema library.
 */

/** Which layers around a centre a sweep cuts (METHODS.md, "Attention knockout"). */
export const WINDOW_STYLES = ["center", "inverse", "top_down", "bottom_up"] as const;
export type WindowStyle = (typeof WINDOW_STYLES)[number];

/** Targets of a knockout sweep, in the reference implementation's names. */
export const KNOCKOUT_TARGETS = [
  "cross-frame",
  "vql-to-ql",
  "question-and-options-to-last",
  "vq-to-true-opt",
] as const;
export type KnockoutTarget = (typeof KNOCKOUT_TARGETS)[number];

/** Orders in which the sampled frames may be shown to the model, beside their own. */
export const COUNTERFACTUAL_ORDERS = ["reversed", "shuffled", "frozen"] as const;
export type CounterfactualOrder = (typeof COUNTERFACTUAL_ORDERS)[number];

/** The usual logit lens: the final norm, then the output head. */
export const USUAL_LENS = { norm: true, unembedding: "head" } as const;
