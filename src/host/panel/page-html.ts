/** What `panelHtml` needs from the host. */
export interface PanelHtmlOptions {
  /** `webview.cspSource`. */
  readonly cspSource: string;
  /** Fresh random text for each load, letters and digits only. */
  readonly nonce: string;
  /** `dist/webview.js` and `dist/webview.css` as webview URIs. */
  readonly scriptUri: string;
  readonly styleUri: string;
  /** Which panel the script builds: its root element's id. Absent: the panel of one run. */
  readonly root?: "panel" | "compare";
}

/**
 * A panel's page. Content-security policy: nothing by default, our one script by nonce, style
 * sheets, pictures and the clip only from the extension's own resource source; frames arrive as bytes.
 * The controls' library makes one style element of its own, with the nonce it finds in a meta element.
 */
export function panelHtml({
  cspSource,
  nonce,
  scriptUri,
  styleUri,
  root = "panel",
}: PanelHtmlOptions): string {
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${cspSource} 'nonce-${nonce}'`,
    `font-src ${cspSource}`,
    `img-src ${cspSource} blob:`,
    `media-src ${cspSource}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="${escapeAttribute(policy)}">
<meta property="csp-nonce" content="${escapeAttribute(nonce)}">
<meta name="viewport" content="width=device-width, initial-scale=1.0">
<title>Flowprobe</title>
<link rel="stylesheet" href="${escapeAttribute(styleUri)}">
</head>
<body>
<div id="${root}"></div>
<script nonce="${escapeAttribute(nonce)}" src="${escapeAttribute(scriptUri)}"></script>
</body>
</html>
`;
}

function escapeAttribute(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll('"', "&quot;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}
