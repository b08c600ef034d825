/** Longest text that is shown of one that comes from elsewhere. */
const MAX_SHOWN = 10_000;

/**
 * Characters that are not seen or that turn the order of others: control characters but for the line
 * break and the tab, marks of writing direction, separators of lines, tags, and the byte-order mark.
 */
const UNSEEN =
  /[\p{Cc}\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\ud800-\udfff]/gu;

function visible(character: string): string {
  if (character === "\n" || character === "\t") return character;
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/**
 * A text that may hold a name, a path or a message from elsewhere, made safe to be shown by VS Code as
 * text: what would become a link (`[text](command:…)`) or an icon (`$(name)`) there is taken apart by
 * a space, unseen characters are written out, and it is cut to a bounded length.
 */
export function plainText(text: string): string {
  const cut = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
  return cut
    .replaceAll("\r\n", "\n")
    .replace(UNSEEN, visible)
    .replaceAll("](", "] (")
    .replaceAll("$(", "$ (");
}

/** The same in one line, for labels and titles. */
export function plainLine(text: string): string {
  return plainText(text).replace(/\s*\n\s*/g, " ");
}
