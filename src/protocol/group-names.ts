const PLAIN: Readonly<Record<string, string>> = {
  "question-only": "question without options",
  "true-option": "true option",
  "false-options": "false options",
  "cross-frame": "cross-frame",
};

/**
 * What a token group is called for people: `frame:0` is "frame 1", `option:A` is "option (A)",
 * `keyword:red` is "keyword “red”". The names of a run are for programs.
 */
export function groupTitle(name: string): string {
  const [, kind, rest = ""] = /^(frame|option|keyword):(.*)$/s.exec(name) ?? [];
  switch (kind) {
    case "frame":
      return /^\d+$/.test(rest) ? `frame ${Number(rest) + 1}` : name;
    case "option":
      return `option (${rest})`;
    case "keyword":
      return `keyword “${rest}”`;
    default:
      return Object.hasOwn(PLAIN, name) ? (PLAIN[name] ?? name) : name;
  }
}
