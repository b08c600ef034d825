// Remakes vqa.schema.json from the parser's own schema: node --import tsx schemas/make.ts
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promptFileJsonSchema } from "../src/prompts/schema.ts";

const schema = JSON.stringify(promptFileJsonSchema(), null, 2);
writeFileSync(join(import.meta.dirname, "vqa.schema.json"), `${schema}\n`);
