import assert from "node:assert/strict";
import { test } from "node:test";
import { plainLine, plainText } from "../../src/common/plain-text.ts";

/** What VS Code makes links of in notifications and below input boxes (`parseLinkedText`, 1.100). */
const VSCODE_LINK =
  /\[([^\]]+)\]\(((?:https?:\/\/|command:|file:)[^)\s]+)(?: (["'])(.+?)(\3))?\)/gi;
/** What it makes icons of in labels (`renderLabelWithIcons`). */
const VSCODE_ICON = /(\\)?\$\(([A-Za-z0-9-]+(?:~[A-Za-z]+)?)\)/g;

test("no link that VS Code would make is left", () => {
  const names = [
    "[text](command:workbench.action.terminal.new).mp4",
    "[a](https://example.org)",
    "[a](file:///etc/passwd)",
    "[[a]](command:x)[b](command:y)",
    '[a](command:x "title")',
    "[a]\u200b(command:x)",
    "[a\n](command:x)",
  ];
  for (const name of names) {
    assert.deepEqual([...plainText(name).matchAll(VSCODE_LINK)], [], name);
    assert.deepEqual([...plainLine(name).matchAll(VSCODE_LINK)], [], name);
  }
  assert.equal(plainText("[text](command:x).mp4"), "[text] (command:x).mp4");
});

test("no icon that VS Code would draw is left", () => {
  for (const name of ["$(check) trusted", "\\$(error)", "$$(loading~spin)", "$(($(check))"]) {
    assert.deepEqual([...plainLine(name).matchAll(VSCODE_ICON)], [], name);
  }
});

test("unseen characters are written out, line breaks kept", () => {
  assert.equal(plainText("gpj.\u202e4pm.exe"), "gpj.\\u{202e}4pm.exe");
  assert.equal(plainText("a\u0000b\u001b[31mc\u2028d"), "a\\u{0}b\\u{1b}[31mc\\u{2028}d");
  assert.equal(plainText("two\r\nlines\tand a tab"), "two\nlines\tand a tab");
  assert.equal(plainLine("two\r\n  lines"), "two lines");
  assert.equal(plainText("Frage: 左 → 右 👩‍🚀 é"), "Frage: 左 → 右 👩‍🚀 é");
  assert.equal(plainText("\ud800 alone"), "\\u{d800} alone");
});

test("a text is cut to a bounded length", () => {
  assert.ok(plainText("x".repeat(1e6)).length <= 10_001);
});
