// Whether the host tests can work at all: a VS Code that does not come up, or whose extension host
// does not answer, is said once, with the log, and not by each test's time-out.
import { buildExtension } from "./build.ts";
import { makeWorkspace, VSCodeWindow } from "./window.ts";

try {
  buildExtension();
  const window = await VSCodeWindow.open(makeWorkspace());
  try {
    await window.activity("Flowprobe").click();
    // This row comes from the extension, through the whole of VS Code.
    await window.row("embedded").first().waitFor();
  } finally {
    await window.close();
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
