import { parseArgs } from "node:util";

/** The command line was used wrongly: exit code 2, with a pointer to the help. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What a flag takes. */
export interface Flag {
  readonly kind: "text" | "number" | "whole" | "flag" | "list";
  /** Shown in the help after the flag's name. */
  readonly value?: string;
  readonly help: string;
  /** The largest number that is taken; `MOST_USUAL` where it is not stated. */
  readonly most?: number;
  /** Closed set of values, when there is one. */
  readonly oneOf?: readonly string[];
}

/** The largest number of a flag that states no closer one. */
const MOST_USUAL = 1_000_000;

export type Flags = Readonly<Record<string, Flag>>;

/** Parsed flags, typed by how they are read. */
export class ParsedArguments {
  readonly positionals: readonly string[];
  readonly #flags: Flags;
  readonly #values: Readonly<Record<string, unknown>>;

  /** @throws UsageError for an unknown flag, a missing value or a value of the wrong kind. */
  constructor(args: readonly string[], flags: Flags) {
    this.#flags = flags;
    try {
      const { values, positionals } = parseArgs({
        args: [...args],
        allowPositionals: true,
        strict: true,
        options: Object.fromEntries(
          Object.entries(flags).map(([name, { kind }]) => [
            name,
            { type: kind === "flag" ? "boolean" : "string", multiple: kind === "list" } as const,
          ]),
        ),
      });
      this.positionals = positionals;
      this.#values = values;
    } catch (error) {
      throw new UsageError(error instanceof Error ? error.message : String(error));
    }
    for (const name of Object.keys(flags)) this.#check(name);
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined;
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === "string" ? value : undefined;
  }

  list(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  number(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : Number(text);
  }

  #check(name: string): void {
    const {
      kind,
      oneOf,
      most = MOST_USUAL,
    }: Omit<Flag, "help"> = this.#flags[name] ?? {
      kind: "text",
    };
    const text = this.text(name);
    if (text === undefined) return;
    if (oneOf !== undefined && !oneOf.includes(text)) {
      throw new UsageError(`--${name} is "${text}"; it can be ${oneOf.join(", ")}`);
    }
    if (kind !== "number" && kind !== "whole") return;
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value) || value < 0) {
      throw new UsageError(`--${name} is "${text}"; a number of 0 or more is needed`);
    }
    if (kind === "whole" && !Number.isInteger(value)) {
      throw new UsageError(`--${name} is "${text}"; a whole number is needed`);
    }
    if (value > most) throw new UsageError(`--${name} is "${text}"; at most ${most} is taken`);
  }
}

/** Flags as lines of a help text. */
export function flagHelp(flags: Flags): string {
  const rows = Object.entries(flags).map(([name, { value, help, oneOf }]) => {
    const shown = oneOf?.join("|") ?? value;
    return [`  --${name}${shown === undefined ? "" : ` ${shown}`}`, help] as const;
  });
  const width = Math.min(36, Math.max(...rows.map(([left]) => left.length)));
  return rows
    .map(([left, help]) =>
      left.length > width
        ? `${left}\n${" ".repeat(width)}  ${help}`
        : `${left.padEnd(width)}  ${help}`,
    )
    .join("\n");
}
