// A reader process: bundled to dist/reader.js.
import { READER_HANDLERS } from "./handlers.ts";
import { serveReader } from "./serve.ts";

serveReader(READER_HANDLERS);
