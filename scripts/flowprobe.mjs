#!/usr/bin/env node
// The command line in a checkout (npx flowprobe …): installs and builds what is missing, then runs it.
import { ensureBuilt } from "./build.mjs";
import { ensureInstalled } from "./install.mjs";

ensureInstalled();
ensureBuilt();
await import("../dist/cli.js");
