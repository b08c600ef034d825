import type { RunEvent, Tensor, TensorElement } from "../../runs/events.ts";

/** Id of the element that holds the run in an exported page. */
export const STANDALONE_RUN_ID = "flowprobe-run";

const ARRAY_OF = { f32: Float32Array, f16: Uint16Array, i32: Int32Array, u8: Uint8Array } as const;
/** Characters converted at once: `fromCharCode` takes its bytes as arguments. */
const CHUNK = 32_768;

interface JsonTensor {
  readonly $tensor: TensorElement;
  readonly shape: readonly number[];
  readonly base64: string;
}

function isTensor(value: unknown): value is Tensor {
  return typeof value === "object" && value !== null && "dtype" in value && "data" in value;
}

function isJsonTensor(value: unknown): value is JsonTensor {
  return typeof value === "object" && value !== null && "$tensor" in value && "base64" in value;
}

function toBase64(data: Tensor["data"]): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let binary = "";
  for (let start = 0; start < bytes.length; start += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(start, start + CHUNK));
  }
  return btoa(binary);
}

function mapValues(value: unknown, convert: (value: unknown) => unknown): unknown {
  const converted = convert(value);
  if (converted !== value) return converted;
  if (Array.isArray(value)) return value.map((item) => mapValues(item, convert));
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, mapValues(item, convert)]),
  );
}

/** An event as plain JSON: tensors become base64 of their little-endian elements. */
export function eventToJson(event: RunEvent): unknown {
  return mapValues(event, (value): unknown => {
    if (!isTensor(value)) return value;
    return { $tensor: value.dtype, shape: value.shape, base64: toBase64(value.data) };
  });
}

/** The inverse of `eventToJson`, for a page that this module wrote. */
export function eventFromJson(json: unknown): RunEvent {
  return mapValues(json, (value): unknown => {
    if (!isJsonTensor(value)) return value;
    const bytes = Uint8Array.from(atob(value.base64), (character) => character.charCodeAt(0));
    const data = new ARRAY_OF[value.$tensor](bytes.buffer);
    return { dtype: value.$tensor, shape: value.shape, data } satisfies Tensor;
  }) as RunEvent;
}

export interface StandaloneOptions {
  readonly title: string;
  /** Text of `dist/webview.js` and `dist/webview.css`. */
  readonly script: string;
  readonly style: string;
  readonly events: readonly RunEvent[];
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/**
 * One HTML file that shows the whole panel anywhere, without a network: bundle, styles and run inside.
 * The run is data in a script element of type JSON with every `<` escaped, so nothing in it can end
 * that element; the page's own policy allows its two known scripts only.
 */
export function standaloneHtml({ title, script, style, events }: StandaloneOptions): string {
  const run = JSON.stringify({ title, events: events.map(eventToJson) }).replaceAll("<", "\\u003c");
  const nonce = "flowprobe";
  const policy = `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; img-src blob: data:`;
  // Inside a script or style element only its own end tag, or a comment opener, could end it early.
  const code = script.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
  const css = style.replaceAll("</style", "<\\/style");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta property="csp-nonce" content="${nonce}">
<meta name="viewport" content="width=device-width, initial-scale=1.0">
<title>${escapeText(title)} · Flowprobe</title>
<style nonce="${nonce}">${css}</style>
</head>
<body class="standalone">
<div id="panel"></div>
<script type="application/json" id="${STANDALONE_RUN_ID}">${run}</script>
<script nonce="${nonce}">${code}</script>
</body>
</html>
`;
}
