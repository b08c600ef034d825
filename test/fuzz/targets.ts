import type { Target } from "./target.ts";
import { CHECKPOINT_TARGETS } from "./targets/checkpoint.ts";
import { HUB_TARGETS } from "./targets/hub.ts";
import { MEDIA_TARGETS } from "./targets/media.ts";
import { PAGE_TARGETS } from "./targets/page.ts";
import { PROMPT_TARGETS } from "./targets/prompts.ts";
import { RUN_TARGETS } from "./targets/runs.ts";

/** Every reader of foreign input. */
export const TARGETS: readonly Target[] = [
  ...CHECKPOINT_TARGETS,
  ...PROMPT_TARGETS,
  ...RUN_TARGETS,
  ...MEDIA_TARGETS,
  ...HUB_TARGETS,
  ...PAGE_TARGETS,
];
