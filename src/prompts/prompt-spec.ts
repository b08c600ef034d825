/**
 * What the model's own processor writes in place of a video. The placeholder token is repeated for
 * every video token; all other words and tokens are text.
 */
export type VideoWording =
  /** One run of placeholders, for InternVL between an opening and a closing token. */
  | { readonly kind: "run"; readonly open?: string; readonly close?: string }
  /** InternVL: each frame numbered from 1, between an opening and a closing token, one a line. */
  | { readonly kind: "numbered"; readonly open: string; readonly close: string }
  /** SmolVLM: how many frames of how long a clip, and each frame with its time, between tokens. */
  | { readonly kind: "timed"; readonly around: string; readonly lead: string }
  /**
   * VideoLLaMA3: each frame after its time in seconds, joined by commas. The clock is of the "frame"
   * (its number over the rate), or of the clip's "span": its frames at even distances from start to
   * end, the last one at the end.
   */
  | { readonly kind: "stamped"; readonly clock: "frame" | "span" };

/** How a multiple choice is asked for. */
export interface ChoiceWording {
  /** After the question and its options. */
  readonly request: string;
  /** With what the answer begins, so that the next token is the option's letter. */
  readonly answer: string;
}

/** What a chat template is told beside the messages. */
export interface ChatValues {
  /** Names under which it looks for the placeholder's text. */
  readonly placeholderNames: readonly string[];
  /** Keys of the video's part of a message. */
  readonly videoKeys?: Readonly<Record<string, number>> | undefined;
}

/** How a model is asked about a video. */
export interface PromptSpec {
  /** Default template: a name of `src/prompts/templates.ts`, or "chat" for the checkpoint's own. */
  readonly template: string;
  /** Token that stands for one video token: its id, or its text where the files give no id. */
  readonly videoTokenId: number | { readonly text: string };
  readonly wording: VideoWording;
  /** What the chat template writes for a video; absent: the placeholder's text. */
  readonly marker?: string | undefined;
  /** How the chat template's multiple choice ends; absent: as the paper asks PLLaVA. */
  readonly choice?: ChoiceWording | undefined;
  readonly chat?: ChatValues | undefined;
}
