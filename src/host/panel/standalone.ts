import { createHash } from "node:crypto";
import type { RunEvent } from "../../protocol/events.ts";
import { STANDALONE_RUN_ID } from "../../protocol/panel.ts";
import { encodeEvent } from "../../runs/codec.ts";

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

/** A script or style sheet's hash, as a content-security policy states it. */
function sourceHash(text: string): string {
  return `sha256-${createHash("sha256").update(text, "utf8").digest("base64")}`;
}

/**
 * One HTML file that shows the whole panel anywhere, without a network: bundle, styles and run inside.
 * The run is data in a script element of type JSON with every `<` escaped, so nothing in it can end
 * that element; the page's own policy allows its one script and style sheet only, by their hashes.
 */
export function standaloneHtml({ title, script, style, events }: StandaloneOptions): string {
  const lines = events.map(encodeEvent).join(",");
  const run = `{"title":${JSON.stringify(title)},"events":[${lines}]}`.replaceAll("<", "\\u003c");
  // Inside a script or style element only its own end tag, or a comment opener, could end it early.
  const code = script.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
  const css = style.replaceAll("</style", "<\\/style");
  // The controls' library makes one style element, without text, to see what the browser knows.
  const policy = [
    "default-src 'none'",
    `script-src '${sourceHash(code)}'`,
    `style-src '${sourceHash(css)}' '${sourceHash("")}'`,
    "img-src blob: data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1.0">
<title>${escapeText(title)} · Flowprobe</title>
<style>${css}</style>
</head>
<body class="standalone">
<div id="panel"></div>
<script type="application/json" id="${STANDALONE_RUN_ID}">${run}</script>
<script>${code}</script>
</body>
</html>
`;
}
