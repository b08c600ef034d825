// Loaded into VS Code's server and the processes that it forks, before anything else: each ends when
// its parent is gone, and an extension host leaves a sign of life every second, in a file named by
// its process id. `hosts.ts` reads these.
"use strict";
const { rmSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");

const SIGN_MS = 1_000;
const folder = process.env.FLOWPROBE_SIGNS_OF_LIFE;
const isHost = process.argv.includes("--type=extensionHost");
// An extension host takes this away from its extensions.
const exit = process.exit.bind(process);
const parent = process.ppid;
const sign = folder === undefined || !isHost ? undefined : join(folder, String(process.pid));
let signs = 0;

function parentIsGone() {
  if (process.ppid !== parent) return true;
  try {
    process.kill(parent, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

function look() {
  if (parentIsGone()) exit(1);
  if (sign === undefined) return;
  try {
    writeFileSync(sign, String(signs++));
  } catch {
    // The server is being taken away.
  }
}

look();
setInterval(look, SIGN_MS).unref();
if (sign !== undefined) process.once("exit", () => rmSync(sign, { force: true }));
