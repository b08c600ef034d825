#!/usr/bin/env node
// The command line in a checkout (npx flowprobe …): installs and builds what is missing, then runs it.

// Ctrl-C ends with the code of a cancelled command also before the command line is loaded.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(4));
const { ensureInstalled } = await import("./install.mjs");
const { ensureBuilt } = await import("./build.mjs");
ensureInstalled();
ensureBuilt();
await import("../dist/cli.js");
