/**
 * Whose rules a frame's picture is prepared by; the numbers are in the checkpoint's files. "clip" is
 * CLIP's image processor alone, "pllava" the reference's, which resizes before it.
 */
export type FrameProcessor =
  | "clip"
  | "pllava"
  | "llava-next-video"
  | "llava-onevision"
  | "internvl"
  | "smolvlm"
  | "qwen2-5-vl"
  | "video-llama-3"
  | "videollama3";
