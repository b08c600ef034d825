import { InputError, ModelError } from "../common/errors.ts";
import type { RunPrompt, RunTokens } from "../protocol/events.ts";
import type { PromptItem } from "../protocol/prompt-item.ts";
import type { CharRange } from "../tokenizer/aligned.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { CUSTOM_TEMPLATE, type RenderedPrompt } from "./templates.ts";

/** Video tokens of a clip: frame-major, then row, then column. */
export interface TokenGrid {
  readonly frames: number;
  readonly rows: number;
  readonly columns: number;
  /**
   * Place of each frame token in that order, where they stand in another or some places have none;
   * default as it is. Tokens of a frame stand together, frames in order.
   */
  readonly cells?: readonly number[] | undefined;
  /** Video tokens after the frames' that belong to no frame; default none. */
  readonly trailing?: number | undefined;
}

/** A prompt as the decoder's sequence of S positions. */
export interface PromptTokens {
  /** [S] token ids; video positions hold the placeholder's id. */
  readonly ids: Int32Array;
  /** S */
  readonly length: number;
  /** First video position. */
  readonly videoStart: number;
  /** Every video position, in the order of the video's tokens. */
  readonly video: Int32Array;
  readonly grid: TokenGrid;
  /** Every position that is not a video token, with its token for the eye. */
  readonly text: RunTokens["text"];
  /** Token groups by name: sorted positions, each once. A position may be in several groups. */
  readonly groups: ReadonlyMap<string, Int32Array>;
  /** The options with the id of the token that answers with their label. */
  readonly options: RunPrompt["options"];
}

/**
 * Tokenises a prompt as one string, puts the video's tokens in the place of its placeholders, and
 * finds the positions of every token group: a token belongs to a group if any of its characters
 * does. `system` is everything before the video (the tokenizer's own first token included),
 * `frame-text` what the model's processor writes between and after frames (only where it does),
 * `last` the last position. A video token that belongs to no frame is in `video` alone.
 *
 * @throws ModelError when the placeholder is not one token of this vocabulary.
 * @throws InputError when a group has no token of its own, or an option's letter has none.
 */
export function tokenizePrompt(
  prompt: RenderedPrompt,
  tokenizer: Tokenizer,
  grid: TokenGrid,
): PromptTokens {
  const { ids: textIds, ranges } = tokenizer.encode(prompt.text, { addSpecial: prompt.addSpecial });
  const placeholders = placeholderTokens(prompt, tokenizer, textIds);
  const perFrame = frameCounts(grid);
  const counts = placeholders.map((_, i) =>
    i === placeholders.length - 1 ? (grid.trailing ?? 0) : 0,
  );
  for (const [frame, count] of perFrame.entries()) {
    const place = Math.floor((frame * counts.length) / perFrame.length);
    counts[place] = (counts[place] ?? 0) + count;
  }

  const ids: number[] = [];
  const text: RunTokens["text"] = [];
  const video: number[] = [];
  const positions = textIds.map((id, token) => {
    const position = ids.length;
    const count = counts[placeholders.indexOf(token)];
    if (count === undefined) {
      text.push({ position, id, text: tokenizer.tokenText(id) });
      ids.push(id);
    }
    for (let i = 0; i < (count ?? 0); i++) {
      video.push(ids.length);
      ids.push(id);
    }
    return position;
  });
  const length = ids.length;
  const [videoStart = 0] = video;

  const groups = new Map<string, Int32Array>();
  groups.set("system", run(0, videoStart));
  groups.set("video", Int32Array.from(video));
  let from = 0;
  for (const [frame, count] of perFrame.entries()) {
    groups.set(`frame:${frame}`, Int32Array.from(video.slice(from, from + count)));
    from += count;
  }
  for (const [name, wanted] of prompt.ranges) {
    if (name === "system") continue;
    const tokens = tokensInRanges(ranges, wanted).filter((token) => !placeholders.includes(token));
    if (tokens.length === 0 && wanted.length > 0) {
      throw new InputError(`the tokenizer gives no token of its own to the prompt's "${name}"`);
    }
    groups.set(
      name,
      Int32Array.from(tokens, (token) => positions[token] ?? 0),
    );
  }
  groups.set("last", run(length - 1, 1));
  const options = prompt.options.map((option) => ({
    ...option,
    tokenId: tokenizer.nextTokenId(prompt.text, option.label),
  }));
  return {
    ids: Int32Array.from(ids),
    length,
    videoStart,
    video: Int32Array.from(video),
    grid,
    text,
    groups,
    options,
  };
}

/** How many tokens each frame has. */
function frameCounts({ frames, rows, columns, cells }: TokenGrid): number[] {
  const whole = rows * columns;
  const counts = new Array<number>(frames).fill(cells === undefined ? whole : 0);
  for (const cell of cells ?? []) {
    const frame = Math.floor(cell / whole);
    counts[frame] = (counts[frame] ?? 0) + 1;
  }
  return counts;
}

/** Indices of the tokens that stand for the video. */
function placeholderTokens(
  prompt: RenderedPrompt,
  tokenizer: Tokenizer,
  ids: readonly number[],
): number[] {
  const id = tokenizer.idOf(prompt.placeholder);
  const found = ids.flatMap((token, i) => (token === id ? [i] : []));
  if (id === undefined || found.length !== prompt.placeholders) {
    throw new ModelError(
      `the model's tokenizer does not have ${prompt.placeholder} as one token that stands for ` +
        `the video (found ${found.length} in the prompt); is tokenizer.json the model's own?`,
    );
  }
  return found;
}

function run(start: number, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => start + i);
}

/** Indices of the tokens any of whose characters lies in one of the ranges, ascending. */
export function tokensInRanges(
  tokens: readonly CharRange[],
  ranges: readonly CharRange[],
): number[] {
  return tokens.flatMap((token, i) =>
    ranges.some((range) => Math.max(token.start, range.start) < Math.min(token.end, range.end))
      ? [i]
      : [],
  );
}

/** Sorted positions as the fewest half-open ranges. */
export function spansOf(positions: Iterable<number>): [start: number, end: number][] {
  const spans: [number, number][] = [];
  for (const position of positions) {
    const last = spans.at(-1);
    if (last !== undefined && last[1] === position) last[1] = position + 1;
    else spans.push([position, position + 1]);
  }
  return spans;
}

/** The positions of half-open ranges: the inverse of `spansOf`. */
export function positionsOf(spans: readonly (readonly [start: number, end: number])[]): Int32Array {
  return Int32Array.from(
    spans.flatMap(([start, end]) => Array.from({ length: end - start }, (_, i) => start + i)),
  );
}

/** What the run's first event says of the tokens. */
export function runTokens(tokens: PromptTokens): RunTokens {
  const { grid } = tokens;
  return {
    length: tokens.length,
    text: tokens.text,
    groups: [...tokens.groups].map(([name, positions]) => ({ name, spans: spansOf(positions) })),
    grid: {
      frames: grid.frames,
      rows: grid.rows,
      columns: grid.columns,
      ...(grid.cells === undefined ? {} : { cells: [...grid.cells] }),
    },
  };
}

/** What the run's first event says of the prompt. */
export function runPrompt(
  item: PromptItem,
  prompt: RenderedPrompt,
  tokens: PromptTokens,
): RunPrompt {
  return {
    ...(item.id === undefined ? {} : { id: item.id }),
    ...(item.task === undefined ? {} : { task: item.task }),
    text: prompt.text,
    question: prompt.question,
    options: tokens.options,
    ...(prompt.answer === undefined ? {} : { answer: prompt.answer }),
    keywords: [...prompt.keywords],
    template: prompt.template,
    ...(prompt.template === CUSTOM_TEMPLATE && item.template !== undefined
      ? { templateText: item.template }
      : {}),
  };
}
