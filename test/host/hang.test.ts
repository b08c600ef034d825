import assert from "node:assert/strict";
import { test } from "node:test";
import { buildExtension } from "./support/build.ts";
import { hostPids } from "./support/processes.ts";
import { eventually, makeWorkspace, VSCodeWindow } from "./support/window.ts";

test("an extension host that hangs ends the wait, with the log", async () => {
  buildExtension();
  const window = await VSCodeWindow.open(makeWorkspace(), { patience: 3 });
  const [host] = hostPids(window.server.pid);
  try {
    assert.ok(host !== undefined);
    const log = () => (/remoteexthost.*\n.*started/.test(window.server.log()) ? true : undefined);
    await eventually("the host's log", log);
    process.kill(host, "SIGSTOP");
    const waiting = window.file("a file that never comes").waitFor();
    await assert.rejects(waiting, ({ message }: Error) => {
      assert.match(message, new RegExp(`extension host \\(process ${host}.*does not answer`));
      assert.match(message, /the log of the server:\n(.*\n)*.*Launched Extension Host Process/);
      assert.match(message, /the log of \S+remoteexthost\.log:\n.*started/);
      return true;
    });
  } finally {
    await window.close();
  }
  // It was stopped, so that it could not end by itself.
  await eventually("the end of the host", () => (isThere(host ?? 0) ? undefined : true));
});

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
