/** A page without scripts that says why a file cannot be shown as a run. */
export function refusalHtml(message: string): string {
  const text = message
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'">
<title>Flowprobe</title>
</head>
<body>
<h2>This file cannot be shown</h2>
<p>${text}</p>
<p>“Reopen Editor With… → Text Editor” shows what is in it.</p>
</body>
</html>
`;
}
