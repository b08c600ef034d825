import assert from "node:assert/strict";
import { appendFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as vscode from "vscode";
import { COMMANDS, RUN_EDITOR_TYPE, SETTINGS, SETTINGS_SECTION } from "../../../src/host/ids.ts";
import type { RunEvent } from "../../../src/protocol/events.ts";
import { RUN_FILE_SUFFIX, readRunFile } from "../../../src/runs/file.ts";
import { type InsideTest, until } from "./harness.ts";
import { workspaceFolder } from "./prompt-files.ts";
import { panelTabs } from "./start.ts";

function runsFolder(): string {
  return join(workspaceFolder().fsPath, "flowprobe-runs");
}

async function runFiles(): Promise<string[]> {
  const names = await readdir(runsFolder()).catch(() => []);
  return names.filter((name) => name.endsWith(RUN_FILE_SUFFIX)).map((n) => join(runsFolder(), n));
}

/** Does something that makes one new run, and gives its file. */
async function newRun(work: () => Thenable<unknown>): Promise<string> {
  const before = new Set(await runFiles());
  await work();
  const made = (await runFiles()).filter((file) => !before.has(file));
  assert.equal(made.length, 1, made.join());
  return made[0] ?? "";
}

function count(events: readonly RunEvent[], type: RunEvent["type"]): number {
  return events.filter((event) => event.type === type).length;
}

function clip(name: string): vscode.Uri {
  return vscode.Uri.joinPath(workspaceFolder(), name);
}

function runEditorTabs(): vscode.Tab[] {
  return vscode.window.tabGroups.all
    .flatMap(({ tabs }) => tabs)
    .filter(
      ({ input }) => input instanceof vscode.TabInputCustom && input.viewType === RUN_EDITOR_TYPE,
    );
}

async function closeAll(): Promise<void> {
  await vscode.commands.executeCommand("workbench.action.closeAllEditors");
}

export const runTests: readonly InsideTest[] = [
  {
    name: "analyzing a clip shows a panel and saves a whole run",
    run: async () => {
      await closeAll();
      const uri = clip("moving-direction-1.mp4");
      const file = await newRun(() => vscode.commands.executeCommand(COMMANDS.analyze, uri));
      assert.equal(panelTabs().length, 1);
      const { events, problems } = await readRunFile(file);
      assert.deepEqual(problems, []);
      const [started] = events;
      assert.ok(started?.type === "run.started");
      assert.equal(started.model.embedded, true);
      assert.equal(started.video.path, uri.fsPath);
      assert.equal(count(events, "layer.clean"), started.model.layers);
      assert.equal(count(events, "answer"), 1);
      const last = events.at(-1);
      assert.ok(last?.type === "run.finished" && last.status === "done", JSON.stringify(last));
      for (const event of events) {
        if (event.type !== "experiment.started") continue;
        const results = events.filter(
          (other) => other.type === "branch.result" && other.experiment === event.experiment,
        );
        assert.equal(results.length, event.branches, event.experiment);
      }
    },
  },
  {
    name: "runs that are asked for at once queue, and each gets a file of its own",
    run: async () => {
      const before = (await runFiles()).length;
      const names = ["object-count-1.mp4", "scene-transition-2.webm", "object-count-1.mp4"];
      await Promise.all(
        names.map((name) => vscode.commands.executeCommand(COMMANDS.analyze, clip(name))),
      );
      const files = await runFiles();
      assert.equal(files.length, before + 3);
      for (const file of files) {
        const { events } = await readRunFile(file);
        const last = events.findLast(({ type }) => type === "run.finished");
        assert.ok(last?.type === "run.finished" && last.status === "done", file);
      }
    },
  },
  {
    name: "a new engine process starts with the video features that an earlier one kept",
    run: async () => {
      const analyze = () =>
        newRun(() =>
          vscode.commands.executeCommand(COMMANDS.analyze, clip("action-antonym-1.mp4")),
        );
      const first = await readRunFile(await analyze());
      const settings = vscode.workspace.getConfiguration(SETTINGS_SECTION);
      const { Global } = vscode.ConfigurationTarget;
      // Settings of the engine are a process's own.
      await settings.update(SETTINGS.threads, 1, Global);
      try {
        const second = await readRunFile(await analyze());
        const cached = [first, second].map(({ events }) =>
          events.flatMap((event) =>
            event.type === "run.started" ? [event.video.featuresCached] : [],
          ),
        );
        assert.deepEqual(cached, [[undefined], [true]]);
        const answers = [first, second].map(({ events }) =>
          events.flatMap((event) => (event.type === "answer" ? [event.answer.probability] : [])),
        );
        const [before = [], after = []] = answers;
        assert.equal(before.length, 1);
        assert.ok(Math.abs((before[0] ?? 0) - (after[0] ?? 1)) < 1e-5, JSON.stringify(answers));
      } finally {
        await settings.update(SETTINGS.threads, undefined, Global);
      }
    },
  },
  {
    name: "a run file opens in the read-only run editor",
    run: async () => {
      await closeAll();
      const [file] = await runFiles();
      assert.ok(file !== undefined);
      await vscode.commands.executeCommand("vscode.open", vscode.Uri.file(file));
      const [tab] = await until("the run editor", () => {
        const tabs = runEditorTabs();
        return tabs.length > 0 ? tabs : undefined;
      });
      assert.equal(tab?.isDirty, false);
    },
  },
  {
    name: "a damaged run file opens too, whatever stands in it",
    run: async () => {
      await closeAll();
      const [file] = await runFiles();
      assert.ok(file !== undefined);
      const [head = ""] = (await readFile(file, "utf8")).split("\n");
      const hostile = join(workspaceFolder().fsPath, `hostile${RUN_FILE_SUFFIX}`);
      await writeFile(hostile, `${head}\n{"type":"from.tomorrow","x":1}\n${"x".repeat(2e6)}\n`);
      await appendFile(hostile, '{"type":"layer.cle');
      await vscode.commands.executeCommand("vscode.open", vscode.Uri.file(hostile));
      await until("the run editor", () => (runEditorTabs().length > 0 ? true : undefined));
      await closeAll();
    },
  },
  {
    name: "a run is cancelled within a second, says so in its file, and leaves the engine ready",
    run: async () => {
      const uri = clip("action-sequence-1.mp4");
      const file = await newRun(async () => {
        const work = vscode.commands.executeCommand(COMMANDS.analyze, uri);
        await until("the run file", async () => {
          const files = await runFiles();
          const texts = await Promise.all(files.map((name) => readFile(name, "utf8")));
          return texts.some((text) => /layer\.clean/.test(text) && !/run\.finished/.test(text))
            ? true
            : undefined;
        });
        const begun = performance.now();
        await vscode.commands.executeCommand(COMMANDS.cancel);
        await work;
        const ms = performance.now() - begun;
        console.log(`cancelled after ${Math.round(ms)} ms`);
        assert.ok(ms < 1_000, `cancelled after ${ms} ms`);
      });
      const { events } = await readRunFile(file);
      const last = events.at(-1);
      assert.ok(last?.type === "run.finished" && last.status === "cancelled");
      const next = await newRun(() =>
        vscode.commands.executeCommand(COMMANDS.analyze, clip("object-count-2.mp4")),
      );
      const end = (await readRunFile(next)).events.at(-1);
      assert.ok(end?.type === "run.finished" && end.status === "done");
    },
  },
];
