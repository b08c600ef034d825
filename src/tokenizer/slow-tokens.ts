import { fileExists, readJsonFile } from "../common/config-reader.ts";
import { ModelError } from "../common/errors.ts";
import { isObject, type JsonObject, MAX_TOKEN_ID } from "./json.ts";

/** Keys of the special tokens, in the order in which transformers adds those that are missing. */
const NAMES = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;
type TokenName = (typeof NAMES)[number];

/** A token as a file spells it: a text, or an object with its properties. */
interface WrittenToken {
  readonly content: string;
  readonly properties: JsonObject;
}

/** The tokens of a tokenizer saved without tokenizer.json. */
export interface SlowTokens {
  /** Entries like those of a tokenizer.json's `added_tokens`. */
  readonly added: readonly JsonObject[];
  /** Texts of the special tokens by their keys. */
  readonly named: Readonly<Partial<Record<TokenName, string>>>;
  /** Ids of the named and the additional special tokens. */
  readonly special: ReadonlySet<number>;
}

/** What a class of tokenizers names its tokens where the files do not. */
export type DefaultTokens = Readonly<Partial<Record<TokenName, string>>>;

/**
 * Gathers the special and added tokens of a folder without tokenizer.json, as transformers'
 * `from_pretrained` does: from `added_tokens_decoder` in tokenizer_config.json, or else from
 * special_tokens_map.json and added_tokens.json; those that no file gives an id come after the
 * vocabulary.
 *
 * @param vocabulary ids by piece.
 * @throws ModelError for a token without a text or an id.
 */
export async function readSlowTokens(
  folder: string,
  config: JsonObject,
  vocabulary: ReadonlyMap<string, number>,
  defaults: DefaultTokens,
): Promise<SlowTokens> {
  const decoder = isObject(config.added_tokens_decoder) ? config.added_tokens_decoder : undefined;
  const map = decoder === undefined ? await optional(folder, "special_tokens_map.json") : {};
  const listed = decoder === undefined ? await optional(folder, "added_tokens.json") : {};
  const settings: JsonObject = { ...defaults, ...config, ...map };
  const additional = [
    ...tokensOf(config.additional_special_tokens),
    ...tokensOf(map.additional_special_tokens),
    ...tokensOf(config.extra_special_tokens),
  ];
  const named = NAMES.flatMap((name) => {
    const token = tokenOf(settings[name]);
    return token === undefined ? [] : [{ name, token }];
  });
  const specialTexts = new Set(
    [...named.map(({ token }) => token), ...additional].map(({ content }) => content),
  );

  const entries = new Map<string, JsonObject>();
  const put = (id: number, content: string, properties: JsonObject) => {
    if (content === "" || !Number.isInteger(id) || id < 0 || id > MAX_TOKEN_ID) {
      throw new ModelError(`an added token is ${JSON.stringify(content)} with the id ${id}`);
    }
    entries.set(content, { ...properties, id, content });
  };
  for (const [id, token] of Object.entries(decoder ?? {})) {
    const written = tokenOf(token);
    if (written === undefined) throw new ModelError(`the added token ${id} has no text`);
    put(Number(id), written.content, written.properties);
  }
  for (const [content, id] of Object.entries(listed)) {
    put(typeof id === "number" ? id : Number.NaN, content, { special: specialTexts.has(content) });
  }
  let next = new Set([...vocabulary.keys(), ...entries.keys()]).size;
  for (const { content, properties } of [...named.map(({ token }) => token), ...additional]) {
    if (entries.has(content)) continue;
    const id = vocabulary.get(content) ?? next++;
    put(id, content, { ...properties, special: true });
  }
  const special = [...specialTexts].map((content) => entries.get(content)?.id);
  return {
    added: [...entries.values()],
    named: Object.fromEntries(named.map(({ name, token }) => [name, token.content])),
    special: new Set(special.filter((id): id is number => typeof id === "number")),
  };
}

async function optional(folder: string, name: string): Promise<JsonObject> {
  return (await fileExists(folder, name)) ? (await readJsonFile(folder, name)).value : {};
}

function tokensOf(value: unknown): WrittenToken[] {
  return Array.isArray(value) ? value.flatMap((token) => tokenOf(token) ?? []) : [];
}

function tokenOf(value: unknown): WrittenToken | undefined {
  if (typeof value === "string") return { content: value, properties: {} };
  if (!isObject(value) || typeof value.content !== "string") return undefined;
  return { content: value.content, properties: value };
}
