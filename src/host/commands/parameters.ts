import { InputError } from "../../common/errors.ts";
import type {
  ExperimentDescriptor,
  Input,
  Parameter,
  Setting,
} from "../../protocol/experiments/descriptor.ts";
import { descriptorOf, requestFrom } from "../../protocol/experiments/list.ts";
import type {
  ExperimentKind,
  ExperimentRequest,
  RequestOf,
} from "../../protocol/experiments/schemas.ts";
import { ask, pick, pickSeveral } from "../window.ts";

type AnyParameter = Parameter<RequestOf<ExperimentKind>>;

/** Why the values cannot be read; undefined when they can. */
function problemOf(
  parameter: AnyParameter,
  values: readonly string[],
  setting: Setting,
): string | undefined {
  try {
    parameter.read(values, setting, {});
    return undefined;
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
}

async function askByList(
  title: string,
  parameter: AnyParameter,
  input: Extract<Input, { kind: "pick" }>,
  setting: Setting,
): Promise<readonly string[] | undefined> {
  const initial = new Set(input.suggested ?? parameter.initial(setting));
  const rows = input.choices(setting).map(({ value, title: description }) => ({
    label: value,
    description,
    picked: initial.has(value),
  }));
  const options = { title, placeHolder: parameter.title };
  if (parameter.many === true) {
    const picked = await pickSeveral(rows, options);
    return picked?.map(({ label }) => label);
  }
  const picked = await pick(rows, options);
  return picked === undefined ? undefined : [picked.label];
}

async function askByText(
  title: string,
  parameter: AnyParameter,
  input: Extract<Input, { kind: "text" }>,
  setting: Setting,
): Promise<readonly string[] | undefined> {
  const text = await ask({
    title,
    prompt: `${input.prompt} (${parameter.value})`,
    value: parameter.initial(setting)[0] ?? "",
    stay: true,
    problem: (typed) => problemOf(parameter, [typed], setting),
  });
  return text === undefined ? undefined : [text];
}

/**
 * Asks for the parameters of a kind of experiment, one after another, as its descriptor states them.
 *
 * @returns undefined when the user leaves, or picks nothing where something is needed.
 */
export async function askParameters<K extends ExperimentKind>(
  kind: K,
  setting: Setting,
): Promise<ExperimentRequest | undefined> {
  const descriptor: ExperimentDescriptor<K> = descriptorOf(kind);
  const parameters = descriptor.parameters as readonly AnyParameter[];
  const values = new Map<string, readonly string[]>();
  for (const parameter of parameters) {
    const { input, flag } = parameter;
    if (input === undefined) continue;
    const given =
      input.kind === "pick"
        ? await askByList(descriptor.title, parameter, input, setting)
        : await askByText(descriptor.title, parameter, input, setting);
    if (given === undefined || (given.length === 0 && parameter.initial(setting).length > 0)) {
      return undefined;
    }
    values.set(flag, given);
  }
  return requestFrom(kind, setting, (flag) => values.get(flag)) as ExperimentRequest;
}
