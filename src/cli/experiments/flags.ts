import { InputError } from "../../common/errors.ts";
import type {
  ExperimentDescriptor,
  Parameter,
  Setting,
} from "../../protocol/experiments/descriptor.ts";
import { descriptorOf, requestFrom } from "../../protocol/experiments/list.ts";
import type { ExperimentKind, RequestOf } from "../../protocol/experiments/schemas.ts";
import { type Flags, type ParsedArguments, UsageError } from "../arguments.ts";
import type { Terminal } from "../command.ts";

/** Width of a knockout's window where none is asked for, in layers: the paper's. */
export const DEFAULT_WINDOW = 9;

/** A setting to show initial values by: no model and no question are known yet. */
const UNKNOWN: Setting = {
  prompt: { question: "", options: [], keywords: [] },
  layers: 0,
  window: DEFAULT_WINDOW,
};

type AnyParameter = Parameter<RequestOf<ExperimentKind>>;

/** The parameters of a kind, without the type of what they say. */
function parametersOf(kind: ExperimentKind): readonly AnyParameter[] {
  return descriptorOf(kind).parameters as readonly AnyParameter[];
}

/** Initial values that do not depend on the model or the question, as the help shows them. */
function shownInitial(parameter: AnyParameter): string {
  const [first, ...more] = parameter.initial(UNKNOWN);
  const fixed = first === undefined || more.length > 0 ? undefined : first;
  const other = parameter.initial({ ...UNKNOWN, layers: 32 })[0];
  return fixed === undefined || fixed !== other ? "" : ` (${fixed})`;
}

/** The command line's flags of a kind of experiment. */
export function experimentFlags(kind: ExperimentKind): Flags {
  return Object.fromEntries(
    parametersOf(kind).map((parameter) => [
      parameter.flag,
      {
        kind: parameter.many === true ? "list" : "text",
        value: parameter.value,
        help: `${parameter.title}${shownInitial(parameter)}`,
      } as const,
    ]),
  );
}

/**
 * The request that the flags ask for; what they leave out is the descriptor's.
 *
 * @throws UsageError naming the flag that cannot be read, or two that exclude each other.
 */
export function requestOf<K extends ExperimentKind>(
  kind: K,
  args: ParsedArguments,
  setting: Omit<Setting, "window">,
  terminal?: Terminal,
): RequestOf<K> {
  const whole = { ...setting, window: DEFAULT_WINDOW };
  const given = parametersOf(kind).filter(({ flag }) => args.has(flag));
  for (const { flag, excludes = [] } of given) {
    const other = excludes.find((name) => args.has(name));
    if (other !== undefined) throw new UsageError(`--${flag} and --${other} exclude each other`);
  }
  for (const parameter of given) {
    reading(parameter.flag, () => {
      const note = parameter.note?.(valuesOf(args, parameter), whole);
      if (note !== undefined) terminal?.note(note);
    });
  }
  let reached = "";
  try {
    return requestFrom(kind, whole, (flag) => {
      reached = flag;
      const parameter = given.find((each) => each.flag === flag);
      return parameter === undefined ? undefined : valuesOf(args, parameter);
    });
  } catch (error) {
    throw named(reached, error);
  }
}

function valuesOf(args: ParsedArguments, { flag, many }: AnyParameter): readonly string[] {
  return many === true ? args.list(flag) : [args.text(flag) ?? ""];
}

function reading(flag: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw named(flag, error);
  }
}

function named(flag: string, error: unknown): unknown {
  return error instanceof InputError ? new UsageError(`--${flag}: ${error.message}`) : error;
}

/**
 * The kind that is chosen among those that share a command, by its flag.
 *
 * @throws UsageError when a flag of another kind was given.
 */
export function chosenKind(
  sharing: readonly ExperimentDescriptor[],
  args: ParsedArguments,
): ExperimentKind {
  const byFlag = sharing.find(
    ({ commandFlag }) => commandFlag !== undefined && args.flag(commandFlag),
  );
  const chosen = byFlag ?? sharing.find(({ commandFlag }) => commandFlag === undefined);
  if (chosen === undefined) throw new UsageError("the kind of experiment is missing");
  const own = new Set(parametersOf(chosen.kind).map(({ flag }) => flag));
  for (const other of sharing) {
    const stray = parametersOf(other.kind).find(({ flag }) => args.has(flag) && !own.has(flag));
    if (stray === undefined) continue;
    throw new UsageError(
      other.commandFlag === undefined
        ? `--${chosen.commandFlag} and --${stray.flag} exclude each other`
        : `--${stray.flag} belongs to --${other.commandFlag}, which is missing`,
    );
  }
  return chosen.kind;
}
