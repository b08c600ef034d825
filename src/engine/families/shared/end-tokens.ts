import { fileExists, readConfig } from "../../../common/config-reader.ts";

const FILE = "generation_config.json";

/**
 * The tokens at which the library's own generation stops: `eos_token_id` of generation_config.json,
 * one id or several. It goes before config.json's, which for chat models often names only the end of
 * a document and not the end of a turn.
 *
 * @returns undefined when the checkpoint has no such file, or the file does not say.
 * @throws ModelError when the file is damaged or its value is no id.
 */
export async function generationEndTokens(folder: string): Promise<number[] | undefined> {
  if (!(await fileExists(folder, FILE))) return undefined;
  const config = await readConfig(folder, FILE);
  if (!config.has("eos_token_id")) return undefined;
  const ids = [config.raw("eos_token_id")].flat();
  if (!ids.every((id): id is number => Number.isSafeInteger(id))) {
    throw config.refuse("eos_token_id", "a token's id or a list of them is needed");
  }
  return ids;
}
