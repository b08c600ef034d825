import type { Budget } from "./budget.ts";
import { attributeOf } from "./methods.ts";
import {
  isDict,
  isList,
  LoopInfo,
  Namespace,
  orUndefined,
  Stream,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.ts";

/** What stands under a name or an index in a value: `value.name`, `value[index]`. */
export function memberOf(value: Value, key: Value, attributeFirst: boolean, budget: Budget): Value {
  if (value instanceof Undefined) throw new Error(`it uses ${value.what}, which is not defined`);
  const index = typeof key === "boolean" ? Number(key) : key;
  if (typeof index === "number") {
    const items = typeof value === "string" ? [...value] : itemsOf(value);
    return orUndefined(items?.at(index), `the item ${index}`);
  }
  if (typeof key !== "string") throw new Error(`it uses ${typeName(key)} as a key`);
  if (value instanceof Namespace) return orUndefined(value.values.get(key), key);
  if (value instanceof LoopInfo) {
    const found = value.attributes.get(key);
    if (found === undefined) throw new Error(`it uses loop.${key}, which is not supported`);
    return found;
  }
  const item = isDict(value) ? value.get(key) : undefined;
  if (item === undefined) return attributeOf(value, key, budget);
  if (!attributeFirst) return item;
  // A dict's own methods come before its keys: `d.items` is the method, `d["items"]` the item.
  const attribute = attributeOf(value, key, budget);
  return attribute instanceof Undefined ? item : attribute;
}

function itemsOf(value: Value): readonly Value[] | undefined {
  if (isList(value)) return value;
  if (value instanceof Tuple) return value.items;
  if (value instanceof Stream) throw new Error(`it takes an item of a ${value.kind}`);
  return undefined;
}

/** The value at a path of names and indices ("function.name"), as `map(attribute=…)` takes it. */
export function atPath(value: Value, path: Value, budget: Budget): Value {
  if (typeof path === "number") return memberOf(value, path, false, budget);
  if (typeof path !== "string") throw new Error("it gives an attribute's name that is no text");
  return path.split(".").reduce<Value>((inner, name) => {
    const key = /^\d+$/.test(name) ? Number(name) : name;
    return memberOf(inner, key, false, budget);
  }, value);
}
