import { Budget, TURN } from "./budget.ts";
import { applyFilter } from "./filters.ts";
import { memberOf } from "./members.ts";
import type {
  Call,
  CallBlock,
  Identifier,
  Loop,
  MacroNode,
  Member,
  Node,
  SetNode,
  Slice,
} from "./nodes.ts";
import { parseTemplate } from "./nodes.ts";
import { binary, signed, sliced } from "./operators.ts";
import { CONSTANTS, globalScope, loopInfo, Scope } from "./scope.ts";
import { testOf } from "./tests.ts";
import { str } from "./text.ts";
import {
  type Arguments,
  Callable,
  equal,
  Float,
  fromData,
  isList,
  iterate,
  Namespace,
  Tuple,
  truth,
  typeName,
  Undefined,
  type Value,
  whole,
} from "./values.ts";

/** How a run of statements ended. */
type Ending = "end" | "break" | "continue";

/** Text as it is written. */
class Output {
  #text = "";
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  write(text: string): void {
    this.#budget.spend(text.length);
    this.#budget.allow(this.#text.length + text.length);
    this.#text += text;
  }

  get text(): string {
    return this.#text;
  }
}

/**
 * Renders a chat template as transformers' environment does (Jinja 3.1, sandboxed, `trim_blocks`,
 * `lstrip_blocks`, `tojson` without HTML's escapes, loop controls): the text is the same, or the
 * template is refused. The tree is the library's; its own interpreter prints and compares values as
 * JavaScript does and loses what was written before a `break`, so values are Python's here.
 *
 * @param data what the template is given, JSON-like.
 * @throws Error saying what is not supported, what the template raised, or which bound it hit.
 */
export function renderTemplate(template: string, data: Readonly<Record<string, unknown>>): string {
  const tree = parseTemplate(template);
  const budget = new Budget();
  const scope = globalScope();
  for (const [name, value] of Object.entries(data)) scope.set(name, fromData(value));
  return new Renderer(budget).text([tree], scope);
}

class Renderer {
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** The text of statements in a place where no loop can be left. */
  text(body: readonly Node[], scope: Scope): string {
    const out = new Output(this.#budget);
    if (this.#run(body, scope, out) !== "end") {
      throw new Error("it has a break or continue outside of a loop");
    }
    return out.text;
  }

  #run(body: readonly Node[], scope: Scope, out: Output): Ending {
    for (const node of body) {
      const ending = this.#statement(node, scope, out);
      if (ending !== "end") return ending;
    }
    return "end";
  }

  #statement(node: Node, scope: Scope, out: Output): Ending {
    this.#budget.spend();
    switch (node.type) {
      case "Program":
        return this.#run(node.body, scope, out);
      case "Comment":
        return "end";
      case "Break":
        return "break";
      case "Continue":
        return "continue";
      case "If":
        return this.#run(
          truth(this.#value(node.test, scope)) ? node.body : node.alternate,
          scope,
          out,
        );
      case "For":
        return this.#budget.inside(`the loop "for ${shown(node.loopvar)}"`, () =>
          this.#loop(node, scope, out),
        );
      case "Set":
        this.#set(node, scope);
        return "end";
      case "Macro":
        scope.set(node.name.value, this.#macro(node.name.value, node, scope));
        return "end";
      case "CallStatement":
        out.write(this.#callBlock(node, scope));
        return "end";
      case "FilterStatement": {
        const inner = this.text(node.body, new Scope(scope));
        out.write(str(this.#filtered(inner, node.filter, scope)));
        return "end";
      }
      default:
        out.write(str(this.#printed(node, scope)));
        return "end";
    }
  }

  /** `|safe` marks a text for HTML, which makes no difference to what is printed at once. */
  #printed(node: Node, scope: Scope): Value {
    const isSafe =
      node.type === "FilterExpression" &&
      node.filter.type === "Identifier" &&
      node.filter.value === "safe";
    return isSafe ? this.#printed(node.operand, scope) : this.#value(node, scope);
  }

  #loop(node: Loop, scope: Scope, out: Output): Ending {
    const items = this.#loopItems(node, scope);
    let before: { readonly value: Value } | undefined;
    const changed = new Callable("loop.changed", ({ positional }) => {
      const now = new Tuple(positional);
      const isNew = before === undefined || !equal(before.value, now);
      before = { value: now };
      return isNew;
    });
    let finished = false;
    for (const [i, item] of items.entries()) {
      this.#budget.spend(TURN);
      // Every turn has names of its own: what it sets is gone in the next.
      const turn = new Scope(scope);
      this.#assign(node.loopvar, item, turn);
      turn.set("loop", loopInfo(items, i, changed));
      const ending = this.#run(node.body, turn, out);
      if (ending === "break") break;
      finished ||= ending === "end";
    }
    // As Jinja has it: the else is also for a loop of which no turn came to its end.
    return finished ? "end" : this.#run(node.defaultBlock, new Scope(scope), out);
  }

  #loopItems(node: Loop, scope: Scope): readonly Value[] {
    const { iterable } = node;
    if (iterable.type !== "SelectExpression") return iterate(this.#value(iterable, scope));
    return iterate(this.#value(iterable.lhs, scope)).filter((item) => {
      this.#budget.spend(TURN);
      const turn = new Scope(scope);
      this.#assign(node.loopvar, item, turn);
      return truth(this.#value(iterable.test, turn));
    });
  }

  #set(node: SetNode, scope: Scope): void {
    const value =
      node.value === null ? this.text(node.body, new Scope(scope)) : this.#value(node.value, scope);
    this.#assign(node.assignee, value, scope);
  }

  #assign(target: Node, value: Value, scope: Scope): void {
    if (target.type === "Identifier") {
      if (CONSTANTS.has(target.value)) throw new Error(`it sets the constant ${target.value}`);
      scope.set(target.value, value);
    } else if (target.type === "TupleLiteral") {
      const items = iterate(value);
      if (items.length !== target.value.length) {
        throw new Error(`it takes ${items.length} values apart as ${target.value.length}`);
      }
      for (const [i, inner] of target.value.entries()) this.#assign(inner, items[i] ?? null, scope);
    } else if (
      target.type === "MemberExpression" &&
      !target.computed &&
      target.property.type === "Identifier"
    ) {
      const object = this.#value(target.object, scope);
      if (!(object instanceof Namespace))
        throw new Error("it sets a value of what is no namespace");
      object.values.set(target.property.value, value);
    } else {
      throw new Error("it sets what is no name");
    }
  }

  /** A macro, or the block of a call: its free names are those of the place where it stands. */
  #macro(
    name: string,
    { args, body }: Pick<MacroNode, "args" | "body">,
    definedIn: Scope,
  ): Callable {
    return new Callable(name, ({ positional, named }) =>
      this.#budget.inside(`the macro "${name}"`, () => {
        const scope = new Scope(definedIn);
        const known = new Set<string>();
        args.forEach((parameter, i) => {
          const key = parameter.type === "KeywordArgumentExpression" ? parameter.key : parameter;
          if (key.type !== "Identifier") throw new Error("a macro's parameter is no name");
          known.add(key.value);
          const given = i < positional.length ? positional[i] : named.get(key.value);
          const missing = new Undefined(key.value);
          const fallback = () =>
            parameter.type === "KeywordArgumentExpression"
              ? this.#value(parameter.value, scope)
              : missing;
          scope.set(key.value, given === undefined ? fallback() : given);
        });
        const unknown = [...named.keys()].find((key) => !known.has(key) && key !== "caller");
        if (positional.length > args.length || unknown !== undefined) {
          throw new Error(`it gives the macro "${name}" arguments that it does not take`);
        }
        scope.set("caller", named.get("caller") ?? new Undefined("caller"));
        scope.set("varargs", new Tuple([]));
        scope.set("kwargs", new Map());
        return this.text(body, scope);
      }),
    );
  }

  #callBlock(node: CallBlock, scope: Scope): string {
    const caller = this.#macro("caller", { args: node.callerArgs ?? [], body: node.body }, scope);
    const { positional, named } = this.#arguments(node.call.args, scope);
    const given = { positional, named: new Map([...named, ["caller", caller]]) };
    return str(this.#called(this.#value(node.call.callee, scope), given));
  }

  #value(node: Node, scope: Scope): Value {
    this.#budget.spend();
    switch (node.type) {
      case "IntegerLiteral":
        return whole(node.value);
      case "FloatLiteral":
        return new Float(node.value);
      case "StringLiteral":
        return node.value;
      case "ArrayLiteral":
        return this.#budget.made(node.value.map((item) => this.#value(item, scope)));
      case "TupleLiteral":
        return this.#budget.made(new Tuple(node.value.map((item) => this.#value(item, scope))));
      case "ObjectLiteral":
        return this.#dict(node.value, scope);
      case "Identifier":
        return (
          CONSTANTS.get(node.value) ?? (CONSTANTS.has(node.value) ? null : scope.get(node.value))
        );
      case "MemberExpression":
        return this.#member(node, scope);
      case "CallExpression":
        return this.#called(this.#value(node.callee, scope), this.#arguments(node.args, scope));
      case "FilterExpression":
        return this.#filtered(this.#value(node.operand, scope), node.filter, scope);
      case "TestExpression": {
        const value = this.#value(node.operand, scope);
        this.#budget.spend(this.#budget.sizeOf(value));
        return testOf(node.test.value, [])(value) !== node.negate;
      }
      case "Ternary":
        return this.#value(
          truth(this.#value(node.condition, scope)) ? node.trueExpr : node.falseExpr,
          scope,
        );
      case "SelectExpression":
        if (truth(this.#value(node.test, scope))) return this.#value(node.lhs, scope);
        return new Undefined("what an if without an else leaves out");
      case "UnaryExpression": {
        const value = this.#value(node.argument, scope);
        return node.operator.value === "not" ? !truth(value) : signed(node.operator.value, value);
      }
      case "BinaryExpression": {
        const left = this.#value(node.left, scope);
        const operator = node.operator.value;
        if (operator === "and") return truth(left) ? this.#value(node.right, scope) : left;
        if (operator === "or") return truth(left) ? left : this.#value(node.right, scope);
        const right = this.#value(node.right, scope);
        return this.#budget.made(binary(operator, left, right, this.#budget));
      }
      default:
        throw new Error(`it has a ${node.type} where a value is needed`);
    }
  }

  #dict(entries: ReadonlyMap<Node, Node>, scope: Scope): Value {
    const made = new Map<string, Value>();
    for (const [keyNode, valueNode] of entries) {
      const key = this.#value(keyNode, scope);
      if (typeof key !== "string")
        throw new Error(`it has a dict with a key that is ${typeName(key)}`);
      made.set(key, this.#value(valueNode, scope));
    }
    return this.#budget.made(made);
  }

  #member(node: Member, scope: Scope): Value {
    const object = this.#value(node.object, scope);
    this.#budget.spend(typeof object === "string" ? object.length : 0);
    const { property } = node;
    if (property.type === "SliceExpression") return this.#slice(object, property, scope);
    const isName = !node.computed && property.type === "Identifier";
    const key = isName ? property.value : this.#value(property, scope);
    return memberOf(object, key, isName, this.#budget);
  }

  #slice(object: Value, node: Slice, scope: Scope): Value {
    const bound = (inner: Node | undefined): number | undefined => {
      const value = inner === undefined ? null : this.#value(inner, scope);
      if (value === null) return undefined;
      if (typeof value !== "number") throw new Error("it slices at what is no whole number");
      return value;
    };
    const [start, stop, step] = [bound(node.start), bound(node.stop), bound(node.step) ?? 1];
    if (typeof object === "string") {
      return this.#budget.made(sliced([...object], start, stop, step).join(""));
    }
    if (isList(object)) return this.#budget.made(sliced(object, start, stop, step));
    if (object instanceof Tuple) return new Tuple(sliced(object.items, start, stop, step));
    throw new Error(`it slices ${typeName(object)}`);
  }

  #arguments(nodes: readonly Node[], scope: Scope): Arguments {
    const positional: Value[] = [];
    const named = new Map<string, Value>();
    for (const node of nodes) {
      if (node.type === "KeywordArgumentExpression") {
        named.set(node.key.value, this.#value(node.value, scope));
      } else if (node.type === "SpreadExpression" || node.type === "KeywordSpreadExpression") {
        throw new Error("it calls with * or **, which is not supported");
      } else {
        positional.push(this.#value(node, scope));
      }
    }
    return { positional, named };
  }

  #called(callee: Value, given: Arguments): Value {
    if (!(callee instanceof Callable)) {
      const what = callee instanceof Undefined ? callee.what : typeName(callee);
      throw new Error(`it calls ${what}, which is no function`);
    }
    for (const value of given.positional) this.#budget.spend(this.#budget.sizeOf(value));
    return this.#budget.made(callee.call(given));
  }

  #filtered(value: Value, filter: Identifier | Call, scope: Scope): Value {
    if (filter.type === "Identifier") {
      return applyFilter(filter.value, value, { positional: [], named: new Map() }, this.#budget);
    }
    if (filter.callee.type !== "Identifier") throw new Error("it has a filter without a name");
    const given = this.#arguments(filter.args, scope);
    return applyFilter(filter.callee.value, value, given, this.#budget);
  }
}

/** A loop's variables for a message. */
function shown(target: Node): string {
  if (target.type === "Identifier") return target.value;
  return target.type === "TupleLiteral" ? target.value.map(shown).join(", ") : "…";
}
