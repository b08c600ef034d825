import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  COMMANDS,
  COMPARE_TYPE,
  CONTEXTS,
  EXTENSION_ID,
  INTERNAL_COMMANDS,
  PANEL_TYPE,
  RUN_EDITOR_TYPE,
  SETTINGS,
  SETTINGS_SECTION,
  VIDEO_EXTENSIONS,
  VIEWS,
  WALKTHROUGH_ID,
} from "../../src/host/ids.ts";
import { EXPERIMENTS } from "../../src/protocol/experiments/list.ts";
import { DEFAULT_MEMORY_BUDGET_GB, PRECISIONS, PROVIDERS } from "../../src/protocol/requests.ts";
import { RUN_FILE_SUFFIX } from "../../src/runs/file.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const { contributes } = manifest;

interface MenuItem {
  readonly command: string;
  readonly when?: string;
}
const menus = Object.entries(contributes.menus as Record<string, MenuItem[]>).flatMap(
  ([menu, items]) => items.map((item) => ({ menu, ...item })),
);

/** Every text of the manifest, wherever it stands. */
function texts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(texts) : [];
}

test("the manifest names the extension as the code does", () => {
  assert.equal(`${manifest.publisher}.${manifest.name}`, EXTENSION_ID);
});

test("the manifest states exactly the commands that the code registers", () => {
  const stated = contributes.commands.map(({ command }: { command: string }) => command);
  const registered = Object.entries(COMMANDS)
    .filter(([name]) => !INTERNAL_COMMANDS.some((internal) => internal === name))
    .map(([, id]) => id);
  assert.deepEqual(stated.sort(), registered.sort());
  assert.equal(new Set(stated).size, stated.length);
});

test("every kind of experiment has its command", () => {
  const titles = new Map<string, string>(
    contributes.commands.map(({ command, title }: Record<string, string>) => [command, title]),
  );
  for (const { commandId, title, kind } of Object.values(EXPERIMENTS)) {
    assert.equal(titles.get(`flowprobe.${commandId}`), `${title}…`, kind);
  }
});

test("every command has the category and a title of its own", () => {
  const titles = new Set<string>();
  for (const { command, title, category } of contributes.commands) {
    assert.equal(category, "Flowprobe", command);
    assert.ok(title.length > 0 && !titles.has(title), `${command}: ${title}`);
    titles.add(title);
  }
});

test("menus, links and completion events name only commands and views that exist", () => {
  const known = new Set<string>([...Object.values(COMMANDS), `${VIEWS.models}.focus`]);
  for (const { menu, command } of menus) assert.ok(known.has(command), `${menu}: ${command}`);
  const everything = texts(contributes).join("\n");
  for (const [, id] of everything.matchAll(/\(command:([\w.]+)\)|onCommand:([\w.]+)/g)) {
    if (id !== undefined) assert.ok(known.has(id), id);
  }
});

test("when clauses read only context keys that the code sets, and views that exist", () => {
  const contexts = new Set<string>([...Object.values(CONTEXTS)]);
  const ids = new Set<string>([...contexts, ...Object.values(VIEWS), RUN_EDITOR_TYPE]);
  const clauses = [...menus, ...contributes.commands].flatMap(({ when, enablement }) => [
    when ?? "",
    enablement ?? "",
  ]);
  for (const id of clauses.join(" ").match(/flowprobe\.\w+/g) ?? []) assert.ok(ids.has(id), id);
});

test("views and their container are those of the code, with an icon that is there", () => {
  const [container] = contributes.viewsContainers.activitybar;
  assert.equal(container.id, VIEWS.container);
  const views = contributes.views[VIEWS.container].map(({ id }: { id: string }) => id);
  assert.deepEqual(views, [VIEWS.models, VIEWS.runs]);
  const paths = texts(contributes)
    .concat(manifest.icon)
    .filter((text) => text.startsWith("media/"));
  assert.ok(paths.length > 3);
  for (const path of paths) assert.ok(existsSync(join(root, path)), path);
});

test("the manifest states exactly the settings that the code reads, each described", () => {
  const stated = Object.keys(contributes.configuration.properties).sort();
  const read = Object.values(SETTINGS).map((name) => `${SETTINGS_SECTION}.${name}`);
  assert.deepEqual(stated, read.sort());
  for (const [id, property] of Object.entries(contributes.configuration.properties)) {
    const { markdownDescription, default: standard } = property as Record<string, unknown>;
    assert.ok(String(markdownDescription ?? "").length > 20, id);
    assert.notEqual(standard, undefined, id);
  }
});

test("the execution providers and precisions that the settings offer are those of the engine", () => {
  for (const [name, known] of Object.entries({ provider: PROVIDERS, precision: PRECISIONS })) {
    const id = `${SETTINGS_SECTION}.${SETTINGS[name as "provider" | "precision"]}`;
    const { enum: offered, enumDescriptions } = contributes.configuration.properties[id];
    assert.deepEqual(offered, [...known]);
    assert.equal(enumDescriptions.length, known.length);
  }
});

test("the memory budget is the same in VS Code and on the command line", () => {
  const id = `${SETTINGS_SECTION}.${SETTINGS.memoryBudget}`;
  assert.equal(contributes.configuration.properties[id].default, DEFAULT_MEMORY_BUDGET_GB);
});

test("an untrusted folder's settings choose neither a model nor where runs are saved", () => {
  const { untrustedWorkspaces, virtualWorkspaces } = manifest.capabilities;
  assert.equal(untrustedWorkspaces.supported, "limited");
  for (const name of ["model", "modelFolders", "runsFolder"] as const) {
    const id = `${SETTINGS_SECTION}.${SETTINGS[name]}`;
    assert.ok(untrustedWorkspaces.restrictedConfigurations.includes(id), id);
  }
  assert.equal(virtualWorkspaces.supported, false);
  assert.ok(virtualWorkspaces.description.length > 20);
});

test("the clip menus appear for every kind of video, whatever the case, and for nothing else", () => {
  const item = menus.find(
    ({ menu, command, when }) =>
      menu === "explorer/context" && command === COMMANDS.analyze && when?.includes("Extname"),
  );
  const pattern = /resourceExtname =~ \/(.*)\/i/.exec(item?.when ?? "")?.[1];
  assert.ok(pattern !== undefined);
  const matches = new RegExp(pattern, "i");
  for (const extension of VIDEO_EXTENSIONS) {
    assert.match(`.${extension}`, matches);
    assert.match(`.${extension.toUpperCase()}`, matches);
  }
  for (const other of [".mp3", ".ts", ".yaml", ".mp4x", "", ".xmp4"]) {
    assert.doesNotMatch(other, matches);
  }
});

test("the run editor opens run files and the panels come back after a reload", () => {
  const [editor] = contributes.customEditors;
  assert.equal(editor.viewType, RUN_EDITOR_TYPE);
  assert.deepEqual(editor.selector, [{ filenamePattern: `*${RUN_FILE_SUFFIX}` }]);
  for (const type of [PANEL_TYPE, COMPARE_TYPE]) {
    assert.ok(manifest.activationEvents.includes(`onWebviewPanel:${type}`), type);
  }
  assert.equal(contributes.walkthroughs[0].id, WALKTHROUGH_ID);
});

test("prompt files are validated by a schema that is there", () => {
  for (const { fileMatch, url } of [...contributes.jsonValidation, ...contributes.yamlValidation]) {
    assert.match([fileMatch].flat().join(), /\.vqa\./);
    assert.ok(existsSync(join(root, url)), url);
  }
});
