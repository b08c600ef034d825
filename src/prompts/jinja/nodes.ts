import { parse, tokenize } from "@huggingface/jinja";

/** An operator or a name, as the lexer found it. */
interface Token {
  readonly type: string;
  readonly value: string;
}

export interface Identifier {
  readonly type: "Identifier";
  readonly value: string;
}

export interface KeywordArgument {
  readonly type: "KeywordArgumentExpression";
  readonly key: Identifier;
  readonly value: Node;
}

export interface Call {
  readonly type: "CallExpression";
  readonly callee: Node;
  readonly args: readonly Node[];
}

export interface Loop {
  readonly type: "For";
  readonly loopvar: Node;
  readonly iterable: Node;
  readonly body: readonly Node[];
  readonly defaultBlock: readonly Node[];
}

export interface MacroNode {
  readonly type: "Macro";
  readonly name: Identifier;
  readonly args: readonly Node[];
  readonly body: readonly Node[];
}

export interface CallBlock {
  readonly type: "CallStatement";
  readonly call: Call;
  readonly callerArgs: readonly Node[] | null;
  readonly body: readonly Node[];
}

export interface SetNode {
  readonly type: "Set";
  readonly assignee: Node;
  readonly value: Node | null;
  readonly body: readonly Node[];
}

export interface Member {
  readonly type: "MemberExpression";
  readonly object: Node;
  readonly property: Node;
  readonly computed: boolean;
}

export interface Slice {
  readonly type: "SliceExpression";
  readonly start?: Node;
  readonly stop?: Node;
  readonly step?: Node;
}

export interface Binary {
  readonly type: "BinaryExpression";
  readonly operator: Token;
  readonly left: Node;
  readonly right: Node;
}

/** The tree that `@huggingface/jinja` makes of a template; the package does not export its types. */
export type Node =
  | Identifier
  | KeywordArgument
  | Call
  | Loop
  | MacroNode
  | CallBlock
  | SetNode
  | Member
  | Slice
  | Binary
  | { readonly type: "Program"; readonly body: readonly Node[] }
  | {
      readonly type: "If";
      readonly test: Node;
      readonly body: readonly Node[];
      readonly alternate: readonly Node[];
    }
  | { readonly type: "Break" | "Continue" | "Comment" }
  | { readonly type: "IntegerLiteral" | "FloatLiteral"; readonly value: number }
  | { readonly type: "StringLiteral"; readonly value: string }
  | { readonly type: "ArrayLiteral" | "TupleLiteral"; readonly value: readonly Node[] }
  | { readonly type: "ObjectLiteral"; readonly value: ReadonlyMap<Node, Node> }
  | {
      readonly type: "FilterExpression";
      readonly operand: Node;
      readonly filter: Identifier | Call;
    }
  | {
      readonly type: "FilterStatement";
      readonly filter: Identifier | Call;
      readonly body: readonly Node[];
    }
  | { readonly type: "SelectExpression"; readonly lhs: Node; readonly test: Node }
  | {
      readonly type: "TestExpression";
      readonly operand: Node;
      readonly negate: boolean;
      readonly test: Identifier;
    }
  | { readonly type: "UnaryExpression"; readonly operator: Token; readonly argument: Node }
  | { readonly type: "SpreadExpression" | "KeywordSpreadExpression"; readonly argument: Node }
  | {
      readonly type: "Ternary";
      readonly condition: Node;
      readonly trueExpr: Node;
      readonly falseExpr: Node;
    };

/** Characters of a template. The longest published ones, with their tools, have about 30,000. */
const MAX_TEMPLATE = 256 * 1024;
/** White space in a row; the lexer's time grows with its square. */
const MAX_SPACE = 4096;

/** Parses a template with the environment's settings in transformers (trim_blocks, lstrip_blocks). */
export function parseTemplate(template: string): Node {
  if (template.length > MAX_TEMPLATE) {
    throw new Error(`it has ${template.length} characters; up to ${MAX_TEMPLATE} are read`);
  }
  if (new RegExp(`\\s{${MAX_SPACE}}`).test(template)) {
    throw new Error(`it has more than ${MAX_SPACE} spaces in a row`);
  }
  // Jinja reads every line break as "\n".
  const tokens = tokenize(template.replace(/\r\n?/g, "\n"), {
    trim_blocks: true,
    lstrip_blocks: true,
  });
  refuseChains(tokens);
  return parse(tokens) as unknown as Node;
}

/** Tokens after which a comparison is another one. */
const BORDERS = new Set(["and", "or", "if", "elif", "else", "set", "for", "not", ",", "=", ":"]);

/**
 * Refuses `a < b < c`, which means `a < b and b < c`: the parser reads it as `(a < b) < c`, and its
 * tree does not tell the two apart.
 */
function refuseChains(tokens: readonly Token[]): void {
  const compared = [false];
  let loopHead = false;
  tokens.forEach((token, i) => {
    const { type, value } = token;
    if (type === "Text" || type === "StringLiteral" || type === "Comment") return;
    if (type.startsWith("Open")) compared.push(false);
    else if (type.startsWith("Close")) compared.pop();
    const isName = type === "Identifier";
    if (isName && value === "for" && tokens[i - 1]?.type === "OpenStatement") loopHead = true;
    const beforeIn = isName && value === "not" && tokens[i + 1]?.value === "in";
    const isIn = isName && value === "in";
    if (isIn && loopHead) loopHead = false;
    else if (isIn || type === "ComparisonBinaryOperator") {
      if (compared.at(-1) === true) throw new Error("it has a chained comparison (a < b < c)");
      compared[compared.length - 1] = true;
    } else if ((isName || type === "Comma" || type === "Equals" || type === "Colon") && !beforeIn) {
      if (BORDERS.has(value)) compared[compared.length - 1] = false;
    }
  });
}
