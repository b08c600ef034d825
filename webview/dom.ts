/** Small helpers to build the page. Text only ever becomes text nodes, never markup. */

type Child = Node | string | null | undefined;
type Attributes = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Creates an element with attributes (`class`, `aria-…`, `true` for bare ones) and children. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  setAttributes(node, attributes);
  append(node, children);
  return node;
}

export function setAttributes(node: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
}

export function append(node: Node, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined) continue;
    node.appendChild(typeof child === "string" ? document.createTextNode(child) : child);
  }
}

/** Replaces all children. */
export function fill(node: Node, ...children: readonly Child[]): void {
  node.textContent = "";
  append(node, children);
}

/** Sets text only when it differs: screen readers announce live regions on every write. */
export function setText(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

export function show(node: HTMLElement, visible: boolean): void {
  node.hidden = !visible;
}

/** Calls back with the element's content width, now and whenever it changes. */
export function onWidth(node: Element, callback: (width: number) => void): void {
  let last = -1;
  new ResizeObserver((entries) => {
    const width = Math.floor(entries[0]?.contentRect.width ?? 0);
    if (width > 0 && width !== last) {
      last = width;
      callback(width);
    }
  }).observe(node);
}

let ids = 0;
/** A document-unique id, for `aria-labelledby` and the like. */
export function uniqueId(stem: string): string {
  ids += 1;
  return `fp-${stem}-${ids}`;
}

/** A token's text as a reader can see it: spaces and line ends made visible, controls replaced. */
export function visibleToken(text: string): string {
  if (text === "") return "∅";
  return (
    text
      .replaceAll("\n", "↵")
      .replaceAll("\t", "⇥")
      .replace(/^ +| +$/g, (spaces) => "·".repeat(spaces.length))
      .replaceAll("▁", "·")
      // Controls and bidirectional overrides would let a token rearrange the text around it.
      .replace(/[\p{Cc}\p{Cf}]/gu, "�")
  );
}

/** What a cut does to the answer: "answer stays “D”", "answer “D” becomes “B”". */
export function answerChange(before: string, after: string): string {
  return before === after
    ? `answer stays “${visibleToken(after)}”`
    : `answer “${visibleToken(before)}” becomes “${visibleToken(after)}”`;
}

/** How far work is: "3/12" where it is counted, else "25 %". */
export function progressShare(done: number, total: number): string {
  const isCounted = total > 1 && Number.isInteger(done) && Number.isInteger(total);
  if (isCounted) return `${done}/${total}`;
  return total > 0 ? `${Math.min(100, Math.round((100 * done) / total))} %` : "";
}

/** "12.3 %"; two significant digits below one percent. */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return "–";
  const value = share * 100;
  return `${inPercent(value)} %`;
}

/** "+3.2 %", "−41.0 %", "−0.012 %" for a change already in percent. */
export function change(value: number): string {
  if (!Number.isFinite(value)) return "–";
  return `${value > 0 ? "+" : ""}${inPercent(value).replace("-", "−")} %`;
}

/** A number of percent: one decimal, or two significant digits where that would round it away. */
function inPercent(value: number): string {
  if (value === 0 || Math.abs(value) >= 1) return value.toFixed(1);
  const [digits = "", exponent] = String(Number(value.toPrecision(2))).split("e-");
  return exponent === undefined ? digits : `${digits}×10⁻${superscript(exponent)}`;
}

function superscript(digits: string): string {
  return digits.replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)] ?? digit);
}

/** "7" for one layer, "3-9" for several, 1-based from a half-open 0-based range. */
export function layerRange([start, end]: readonly [number, number]): string {
  return end - start === 1 ? `${start + 1}` : `${start + 1}-${end}`;
}

export function seconds(value: number): string {
  return value < 60
    ? `${value.toFixed(value < 10 ? 1 : 0)} s`
    : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}
