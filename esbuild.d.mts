import type { BuildOptions } from "esbuild";

/** How a program for Node is bundled. */
export declare const NODE_BUNDLE: BuildOptions;
