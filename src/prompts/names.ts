/** Endings of our own prompt files, in the order in which they are looked for. */
export const PROMPT_FILE_ENDINGS: readonly string[] = [".vqa.yaml", ".vqa.yml", ".vqa.json"];
