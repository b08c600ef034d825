import {
  RUN_EVENT_TYPES,
  type RunEvent,
  runEvent,
  TENSOR_DTYPES,
  type Tensor,
  type TensorElement,
} from "../protocol/events.ts";
import { RUN_FORMAT_VERSION } from "../protocol/format.ts";
import { tensorBytes, tensorElements } from "../protocol/tensors.ts";

/** A tensor as it stands in the file: base64 of its elements' bytes. */
interface StoredTensor {
  readonly dtype: TensorElement;
  readonly shape: readonly number[];
  readonly base64: string;
}

/** Longest part of a validation message that is passed on: a hostile line can make it very long. */
const MAX_REASON = 200;

/**
 * An event as one line of the run file, without its line break. Tensors become
 * `{dtype, shape, base64}`; the machine must be little-endian, as all that the engine runs on are.
 */
export function encodeEvent(event: RunEvent): string {
  return JSON.stringify(event, (_, value: unknown) => (isTensor(value) ? store(value) : value));
}

/** What one line of a run file holds: an event, or the reason why it is none. */
export type DecodedLine =
  | { readonly kind: "event"; readonly event: RunEvent }
  | { readonly kind: "problem"; readonly message: string };

/** Reads one line of a run file. Never throws, whatever the line holds. */
export function decodeEvent(line: string): DecodedLine {
  let value: unknown;
  try {
    value = JSON.parse(line, (_, part: unknown) => (isStored(part) ? restore(part) : part));
  } catch {
    return problem("is not JSON");
  }
  const type = typeOf(value);
  if (type === undefined) return problem("is not an event: it has no type");
  if (!KNOWN_TYPES.has(type)) return problem(`has an event of an unknown type, ${quote(type)}`);
  const parsed = runEvent.safeParse(value);
  if (parsed.success) return { kind: "event", event: parsed.data };
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? "" : ` ${issue.path.join(".")}:`;
  const missing = issue?.message.endsWith("received undefined") === true;
  const why = missing ? "is missing" : (issue?.message ?? "wrong fields");
  return problem(cut(`is not a valid ${type} event:${where} ${why}`));
}

/** A sentence for a run that a newer version wrote; undefined when this version knows its format. */
export function newerVersion(event: RunEvent): string | undefined {
  if (event.type !== "run.started" || event.version <= RUN_FORMAT_VERSION) return undefined;
  return (
    `was written by a newer Flowprobe (format version ${event.version}; this one reads version ` +
    `${RUN_FORMAT_VERSION}): some of it may be missing here`
  );
}

const KNOWN_TYPES: ReadonlySet<string> = new Set(RUN_EVENT_TYPES);

function problem(message: string): DecodedLine {
  return { kind: "problem", message };
}

function typeOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || !("type" in value)) return undefined;
  return typeof value.type === "string" ? value.type : undefined;
}

function quote(text: string): string {
  return JSON.stringify(cut(text));
}

function cut(text: string): string {
  return text.length > MAX_REASON ? `${text.slice(0, MAX_REASON)}…` : text;
}

function isTensor(value: unknown): value is Tensor {
  return (
    typeof value === "object" &&
    value !== null &&
    "dtype" in value &&
    "data" in value &&
    ArrayBuffer.isView(value.data)
  );
}

function store(tensor: Tensor): StoredTensor {
  const { buffer, byteOffset, byteLength } = tensorBytes(tensor);
  const base64 = Buffer.from(buffer, byteOffset, byteLength).toString("base64");
  return { dtype: tensor.dtype, shape: tensor.shape, base64 };
}

function isStored(value: unknown): value is StoredTensor {
  if (typeof value !== "object" || value === null) return false;
  const { dtype, shape, base64 } = value as Partial<Record<keyof StoredTensor, unknown>>;
  return (
    typeof base64 === "string" &&
    Array.isArray(shape) &&
    TENSOR_DTYPES.some((element) => element === dtype)
  );
}

/** The tensor, or the value as it stands when its bytes are no whole number of elements. */
function restore(stored: StoredTensor): Tensor | StoredTensor {
  const { dtype, shape, base64 } = stored;
  // Copied, so that the array is aligned and does not keep a larger buffer alive.
  const data = tensorElements(dtype, Uint8Array.from(Buffer.from(base64, "base64")));
  return data === undefined ? stored : { dtype, shape, data };
}
