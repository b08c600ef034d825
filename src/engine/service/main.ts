// The engine's process: bundled to dist/engine.js.
import { Engine } from "../engine.ts";
import { serveEngine } from "./worker.ts";

serveEngine((settings) => new Engine(settings));
