import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { sampleFrames } from "../../../src/video/sample-frames.ts";
import { ROOT } from "../../support/bundle.ts";
import { changeBytes } from "../mutate.ts";
import type { Target } from "../target.ts";

const VIDEOS = join(ROOT, "test", "unit", "data", "video");
const CLIPS = readdirSync(VIDEOS)
  .filter((name) => /\.(mp4|mov|mkv|webm|avi|gif)$/.test(name))
  .sort();
const PICTURES = readdirSync(join(VIDEOS, "images"))
  .filter((name) => /\.(png|jpe?g|webp|bmp)$/i.test(name))
  .sort();

const FRAMES = 4;

function check(frames: readonly { width: number; height: number; data: Uint8Array }[]): void {
  if (frames.length !== FRAMES) throw new Error(`${frames.length} frames instead of ${FRAMES}`);
  for (const { width, height, data } of frames) {
    if (data.length !== width * height * 3) throw new Error(`a frame of ${data.length} bytes`);
  }
}

export const MEDIA_TARGETS: readonly Target[] = [
  {
    name: "container",
    shortRuns: 60,
    bases: CLIPS.length,
    run: async ({ base, edits }) => {
      const name = CLIPS[base] ?? "";
      const path = join(tmpdir(), `changed${extname(name)}`);
      writeFileSync(path, changeBytes(readFileSync(join(VIDEOS, name)), edits));
      check((await sampleFrames(path, { frames: FRAMES })).frames);
    },
    show: ({ base, edits }) => `${CLIPS[base]} with ${JSON.stringify(edits)}`,
  },
  {
    name: "picture",
    shortRuns: 120,
    bases: PICTURES.length,
    run: async ({ base, edits }) => {
      const name = PICTURES[base] ?? "";
      const folder = mkdtempSync(join(tmpdir(), "pictures-"));
      mkdirSync(folder, { recursive: true });
      const good = readFileSync(join(VIDEOS, "images", name));
      writeFileSync(join(folder, `1${extname(name)}`), changeBytes(good, edits));
      check((await sampleFrames(folder, { frames: FRAMES })).frames);
    },
    show: ({ base, edits }) => `${PICTURES[base]} with ${JSON.stringify(edits)}`,
  },
];
