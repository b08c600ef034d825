/** Whose rules a frame's picture is prepared by; the numbers are in the checkpoint's files. */
export type FrameProcessor =
  | "clip"
  | "llava-next-video"
  | "llava-onevision"
  | "internvl"
  | "smolvlm"
  | "qwen2-5-vl"
  | "video-llama-3"
  | "videollama3";
