// As a namespace: of the library's one object, bundles would hold every part and all its languages.
import * as z from "zod";
import { RUN_LIMITS as MAX } from "../limits.ts";
import { KNOCKOUT_TARGETS, WINDOW_STYLES } from "../vocabulary.ts";

/**
 * One schema per kind of experiment. From it are inferred the request (what is asked), the recipe
 * (what a run file says was done: the request with its defaults filled in, and what followed from
 * them) and the detail of each result. Layers and positions count from 0; METHODS.md says what each
 * kind computes.
 */

const layer = z.int().min(0).lt(MAX.layers);
const position = z.int().min(0).lt(MAX.positions);
const head = z.int().min(0).lt(MAX.heads);
const name = z.string().max(MAX.name);
const seed = z.int().min(0).max(MAX.seed);
const window = z.int().min(1).max(MAX.layers);
const style = z.enum(WINDOW_STYLES);
const positions = z.array(position).max(MAX.positions).readonly();

/** Layers a-b, both inclusive. */
const layerRange = z.tuple([layer, layer]).readonly();
/** Layers as half-open ranges. */
const layerSpans = z
  .array(z.tuple([layer, z.int().min(0).max(MAX.layers)]))
  .max(MAX.layers)
  .readonly();

/** Layer ranges in which an effective pathway keeps each family of edges; absent ones keep nothing. */
const keptRanges = z.object({
  crossFrame: layerRange.optional(),
  videoToQuestion: layerRange.optional(),
  questionToLast: layerRange.optional(),
});

/** Kept ranges as results hold them: a family that keeps nothing is null. */
const namedRange = z.tuple([layer, layer]).nullable();
export const namedRanges = z.object({
  crossFrame: namedRange,
  videoToQuestion: namedRange,
  questionToLast: namedRange,
});

/** How the logit lens reads residual rows. */
const lensOptions = z.object({
  /** Whether the final norm comes first; the last layer has it either way. */
  norm: z.boolean(),
  /** The output head, or the input embedding matrix (the reference's choice for its figure). */
  unembedding: z.enum(["head", "embedding"]),
});

/** What a pass reports of each layer besides the answer. */
export const observations = z.object({
  /** Logit lens of all video tokens at every layer; `true` is the norm and the output head. */
  lens: z.boolean().or(lensOptions),
  /** Attention group mass of every layer and head. */
  mass: z.boolean(),
  /** Attention rows of these positions, or of every text token after the video. */
  attention: z.enum(["none", "text"]).or(positions),
  headAveraged: z.boolean(),
});

/** Edges that a generation is made without. */
const generationCut = z.union([
  z.object({
    name,
    /** Token groups; `cross-frame` for both cuts every frame off the frames before it. */
    from: name,
    to: name,
    layers: layerRange,
  }),
  z.object({
    name,
    /** Only the effective pathway is kept: see the `pathways` experiment. */
    pathways: keptRanges,
  }),
]);

const knockout = z.object({
  targets: z.array(z.enum(KNOCKOUT_TARGETS)).readonly(),
  window,
  style,
});
const pathways = keptRanges.extend({
  /** Seed of the random control; absent: no control. */
  randomSeed: seed.optional(),
});
const pathwaySearch = z.object({
  /** Share of the clean answer's probability that has to be kept. */
  keepShare: z.number().min(0).max(1),
  /** Pathways tried at most. */
  maxCandidates: z.int().min(1).max(MAX.candidates),
  /** Seed of the random control of what is found; absent: no control. */
  randomSeed: seed.optional(),
});
const heads = z.object({ from: name, to: name, window });
const framePairs = z.object({ layers: layerRange });
const keyword = z.object({ window, style });
/** Positions of the prompt, or the name of a token group. */
const place = positions.or(name);
const whatIf = z.object({
  name,
  from: place,
  to: place,
  layers: layerRange,
  heads: z.array(head).readonly().optional(),
});
const generation = z.object({
  maxTokens: z.int().min(1).max(MAX.generated),
  cuts: z.array(generationCut).max(MAX.cuts).readonly(),
});

/** Window centres to sweep; absent: all. */
const centres = { layers: layerRange.optional() };
/** Window centres that were swept; absent in files that did not say it. */
const swept = { centres: layerSpans.optional() };

/** What is asked, by kind. */
export const REQUESTS = {
  /** Sweeps of the paper's targets over window centres. */
  knockout: knockout.extend(centres),
  /** Only an effective pathway is kept. */
  pathways,
  /** Searches the fewest edges that keep the answer. */
  "pathway-search": pathwaySearch,
  /** A cut between two token groups, made in each head alone: heads x centres. */
  heads: heads.extend(centres),
  /** Every ordered pair of frames, over one layer range. */
  "frame-pairs": framePairs,
  /** Each keyword of the prompt, swept over window centres. */
  keyword: keyword.extend(centres),
  /** Any cut that is drawn; `observe` reads every layer of the cut run as well (mass is not). */
  "what-if": whatIf.extend({ observe: observations.optional() }),
  /** The video cut from every later row from a layer on, for each layer. */
  exit: z.object(centres),
  /** Greedy decoding, clean and under each cut, which is in force at every step. */
  generation,
} as const;

/** What a run file says was done, by kind. */
export const RECIPES = {
  knockout: knockout.extend(swept),
  pathways: pathways.extend({ edgesLeft: z.number().min(0).max(1).optional() }),
  "pathway-search": pathwaySearch,
  heads: heads.extend(swept),
  "frame-pairs": framePairs,
  keyword: keyword.extend({ ...swept, keywords: z.array(name).readonly() }),
  "what-if": whatIf,
  exit: z.object(swept),
  generation,
} as const;

/** What one result stands for beyond its series and layer; each kind says what applies to it. */
export const resultDetail = z.object({
  target: z.enum(KNOCKOUT_TARGETS).optional(),
  keyword: name.optional(),
  head: head.optional(),
  /** Frames of a pair, counted from 0. */
  from: position.optional(),
  to: position.optional(),
  seed: seed.optional(),
  ...namedRanges.partial().shape,
});

type Schemas = typeof REQUESTS;
export type ExperimentKind = keyof Schemas;
/** The kinds, in the order in which they are offered. */
export const EXPERIMENT_KINDS = Object.keys(REQUESTS) as readonly ExperimentKind[];

/** An experiment asked for, as plain data. */
export type RequestOf<K extends ExperimentKind> = {
  [N in K]: { readonly kind: N } & Readonly<z.infer<Schemas[N]>>;
}[K];
export type ExperimentRequest = RequestOf<ExperimentKind>;

/** What was done. */
export type RecipeOf<K extends ExperimentKind> = Readonly<z.infer<(typeof RECIPES)[K]>>;

export type LayerRange = z.infer<typeof layerRange>;
export type KeptRanges = Readonly<z.infer<typeof keptRanges>>;
export type NamedRanges = z.infer<typeof namedRanges>;
export type LensOptions = Readonly<z.infer<typeof lensOptions>>;
export type Observations = Readonly<z.infer<typeof observations>>;
export type GenerationCut = Readonly<z.infer<typeof generationCut>>;
export type ResultDetail = z.infer<typeof resultDetail>;

function requestSchema<K extends ExperimentKind>(kind: K) {
  return REQUESTS[kind].extend({ kind: z.literal(kind) });
}

/** Checks a request that was read from a file. */
export const experimentRequest = z.discriminatedUnion("kind", [
  requestSchema("knockout"),
  requestSchema("pathways"),
  requestSchema("pathway-search"),
  requestSchema("heads"),
  requestSchema("frame-pairs"),
  requestSchema("keyword"),
  requestSchema("what-if"),
  requestSchema("exit"),
  requestSchema("generation"),
]);
