import { roundHalfToEven } from "../video/frame-indices.ts";
import { numberInWords } from "./numbers.ts";
import type { VideoWording } from "./prompt-spec.ts";

/** What a video's wording may tell of the clip. */
export interface ClipTimes {
  /** Seconds from the clip's start of each sampled frame. */
  readonly frameSeconds: readonly number[];
  readonly durationSeconds: number;
}

/**
 * What stands for a video in a prompt: the words of the model's own processor, with one placeholder
 * for every run of video tokens between them.
 *
 * What is no placeholder is text: it belongs to no frame and not to the `video` group, because its
 * positions carry words, and their residual rows start from word embeddings; cutting "the video"
 * must not cut what the prompt says in words. Before the first frame it is part of `system`, which
 * is everything before the video; after it, of `frame-text`. An edge from a frame to a later one
 * through the text between them stays open in a cross-frame knockout, as it is no edge between
 * frames.
 *
 * @returns the text, holding `placeholder` once (`run`) or once a frame.
 */
export function videoText(wording: VideoWording, placeholder: string, clip: ClipTimes): string {
  switch (wording.kind) {
    case "run":
      return `${wording.open ?? ""}${placeholder}${wording.close ?? ""}`;
    case "numbered":
      return clip.frameSeconds
        .map((_, i) => `Frame${i + 1}: ${wording.open}${placeholder}${wording.close}`)
        .join("\n");
    case "timed": {
      const { around, lead } = wording;
      const frames = clip.frameSeconds.map(
        (seconds) => `\nFrame from ${minutes(seconds)}:${around}${lead}${placeholder}${around}`,
      );
      const count = numberInWords(clip.frameSeconds.length);
      const duration = hours(clip.durationSeconds);
      const intro = `You are provided the following series of ${count} frames from a ${duration} [H:MM:SS] video.\n`;
      return `${intro}${frames.join("")}\n\n`;
    }
    case "stamped": {
      const shown = wording.clock === "frame" ? tenths : scaledTenths;
      return clip.frameSeconds.map((seconds) => `Time ${shown(seconds)}s:${placeholder}`).join(",");
    }
  }
}

/** One digit after the point, as Python's formatting rounds: the exact value, halves to the even digit. */
function tenths(seconds: number): string {
  // Of the doubles only quarters lie halfway between tenths; JavaScript rounds those up.
  const halfDown = Math.abs((seconds * 4) % 4) === 1;
  return (halfDown ? seconds - 0.05 : seconds).toFixed(1);
}

/** The same as NumPy rounds: ten times the value, rounded to a double, to the even whole number. */
function scaledTenths(seconds: number): string {
  return (roundHalfToEven(seconds * 10) / 10).toFixed(1);
}

/** Times that stand for those of a clip that is not decoded yet: of the usual number of digits. */
export function unknownTimes(frames: number): ClipTimes {
  return { frameSeconds: new Array<number>(frames).fill(0), durationSeconds: 0 };
}

/** MM:SS */
function minutes(seconds: number): string {
  const whole = Math.floor(seconds);
  return `${two(Math.floor(whole / 60))}:${two(whole % 60)}`;
}

/** H:MM:SS, with the days before it from one on, as Python writes a span of time. */
function hours(seconds: number): string {
  const whole = Math.floor(seconds);
  const days = Math.floor(whole / 86_400);
  const time = `${Math.floor((whole % 86_400) / 3600)}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
  if (days === 0) return time;
  return `${days} day${days === 1 ? "" : "s"}, ${time}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
