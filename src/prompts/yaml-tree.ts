import { isAlias, isMap, isScalar, isSeq, Lexer, type ParsedNode, parseDocument } from "yaml";
import {
  MAX_DEPTH,
  repeatedKey,
  type SourceEntry,
  type SourceError,
  type SourceNode,
  type SourceTree,
  tooDeep,
} from "./source-tree.ts";

/**
 * The parser's time grows with the square of this in hostile texts, and its recursion with their
 * nesting, so both are bounded before it is given one. 500 questions have about 30,000 lexemes.
 */
const MAX_LEXEMES = 100_000;
const TOO_LONG =
  `has more than ${MAX_LEXEMES.toLocaleString("en")} parts of YAML (words and marks; about 2,000 ` +
  "questions); write it as JSON, one list (*.json) or one question a line (*.jsonl)";
const SECOND_DOCUMENT =
  'holds a second YAML document (after "---"); a prompt file is one: put the questions into one list, ' +
  "or into files of their own";
/** Columns that a block may be indented. */
const MAX_INDENT = 200;

/** Parses one YAML 1.2 document with the place of every value; aliases are refused. */
export function parseYamlTree(text: string): SourceTree {
  const unsafe = unsafeReason(text);
  if (unsafe !== undefined) return { errors: [unsafe] };
  const document = composed(text);
  if (document === undefined) return { errors: [tooDeep(0)] };
  const found = [...document.errors, ...document.warnings].map(
    ({ code, message, pos: [start, end] }) => ({
      message:
        code === "MULTIPLE_DOCS" ? SECOND_DOCUMENT : `is not YAML that can be read: ${message}`,
      start,
      end: Math.max(end, start + 1),
    }),
  );
  if (found.length > 0) return { errors: found };
  const errors: SourceError[] = [];
  const root = convert(document.contents, 0, errors);
  return errors.length > 0 ? { errors } : { root };
}

/** A text's document; undefined when its nesting exceeds the parser's stack. */
function composed(text: string) {
  try {
    return parseDocument(text, {
      version: "1.2",
      schema: "core",
      uniqueKeys: false,
      stringKeys: false,
      prettyErrors: false,
      // "silent" would leave out that a second document follows, and drop it.
      logLevel: "error",
    });
  } catch (error) {
    // Maps that begin on one line after the other nest without a mark that could be counted.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** A cheap pass over the lexemes, without recursion. */
function unsafeReason(text: string): SourceError | undefined {
  let lexemes = 0;
  let at = 0;
  let inFlow = 0;
  let onLine = 0;
  let lineStart = true;
  let scalarFollows = false;
  for (const lexeme of new Lexer().lex(text)) {
    const isText = scalarFollows;
    scalarFollows = lexeme === "\x1f";
    // Control characters announce what follows and are not in the text.
    if (scalarFollows || lexeme === "\x02" || lexeme === "\x18") continue;
    if (++lexemes > MAX_LEXEMES) {
      return { message: TOO_LONG, start: 0, end: 1 };
    }
    if (isText) lineStart = false;
    else if (/^\r?\n$/.test(lexeme)) {
      lineStart = true;
      onLine = 0;
    } else {
      if (lexeme === "[" || lexeme === "{") inFlow++;
      else if (lexeme === "]" || lexeme === "}") inFlow = Math.max(0, inFlow - 1);
      else if (inFlow === 0 && /^[-?:]$/.test(lexeme)) onLine++;
      else if (inFlow === 0 && lineStart && /^ +$/.test(lexeme) && lexeme.length > MAX_INDENT) {
        return tooDeep(at);
      }
      if (inFlow + onLine > MAX_DEPTH) return tooDeep(at);
      lineStart = false;
    }
    at += lexeme.length;
  }
  return undefined;
}

function convert(node: ParsedNode | null, depth: number, errors: SourceError[]): SourceNode {
  const [start, end] = node?.range ?? [0, 0];
  if (isMap(node) && depth <= MAX_DEPTH) {
    const entries: SourceEntry[] = [];
    for (const { key, value } of node.items) {
      const [keyStart, keyEnd] = key.range;
      if (isScalar(key)) {
        const name = key.source ?? String(key.value);
        // A key without a value ("answer:") ends where the key ends.
        const empty = {
          kind: "scalar",
          value: null,
          text: "",
          start: keyStart,
          end: keyEnd,
        } as const;
        const inner = value === null ? empty : convert(value, depth + 1, errors);
        entries.push({ key: name, start: keyStart, end: keyEnd, value: inner });
      } else {
        errors.push({ message: "has a key that is not a word", start: keyStart, end: keyEnd });
      }
    }
    const twice = repeatedKey(entries);
    if (twice !== undefined) errors.push(twice);
    return { kind: "map", entries, start, end };
  }
  if (isSeq(node) && depth <= MAX_DEPTH) {
    const items = node.items.map((item) => convert(item, depth + 1, errors));
    return { kind: "list", items, start, end };
  }
  if (isScalar(node)) {
    const { value } = node;
    if (value === null || ["string", "number", "boolean"].includes(typeof value)) {
      const known = value as string | number | boolean | null;
      const text = typeof known === "string" ? known : (node.source ?? String(known));
      return { kind: "scalar", value: known, text, start, end };
    }
    errors.push({ message: "has a value that is no text and no number", start, end });
  } else if (isAlias(node)) {
    errors.push({ message: `uses the alias *${node.source}; write the value out`, start, end });
  } else if (node !== null) {
    errors.push(tooDeep(start));
  }
  return { kind: "scalar", value: null, text: "", start, end };
}
