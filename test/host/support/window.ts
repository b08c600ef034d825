import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import {
  type Browser,
  chromium,
  errors,
  type FrameLocator,
  type Locator,
  type Page,
} from "playwright-core";
import { CHROMIUM_ARGUMENTS, chromiumPath } from "../../../scripts/chromium.ts";
import {
  type CodeServer,
  type CodeServerOptions,
  ROOT,
  startCodeServer,
} from "../../../scripts/code-server.ts";

/** VS Code needs a while to load on a busy machine; a test waits this long for what must come. */
export const PATIENCE_MS = 60_000;

/** A menu that has just opened ignores the mouse for a tenth of a second. */
const MENU_DEAF_MS = 300;

/** Between tries of a dialog that reads folders. */
const DIALOG_READS_MS = 250;

/** The palette that a key opens, and its rows, come within this, or not at all. */
const PALETTE_MS = 5_000;

/** A workspace folder of its own, with the sample clips and whatever a test adds to it. */
export function makeWorkspace(settings: Readonly<Record<string, unknown>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "flowprobe-workspace-"));
  cpSync(join(ROOT, "samples"), folder, { recursive: true });
  mkdirSync(join(folder, ".vscode"));
  writeFileSync(join(folder, ".vscode", "settings.json"), JSON.stringify(settings, null, 2));
  return folder;
}

/** A VS Code window in a browser, used as a person would: by its explorer, menus, palette and panels. */
export class VSCodeWindow {
  private constructor(
    readonly workspace: string,
    readonly server: CodeServer,
    private readonly browser: Browser,
    readonly page: Page,
  ) {}

  /** Opens a window on a workspace and waits until its files are listed. */
  static async open(
    workspace: string,
    options: Partial<
      Pick<CodeServerOptions, "extension" | "environment" | "workspaceTrust" | "patience">
    > = {},
    viewport = { width: 1500, height: 950 },
  ): Promise<VSCodeWindow> {
    const executablePath = chromiumPath();
    const browser = await chromium.launch({ executablePath, args: [...CHROMIUM_ARGUMENTS] });
    // What waits for something to appear fails at once, with this reason.
    const onHang = ({ message }: Error) => void browser.close({ reason: message });
    const server = await startCodeServer({
      workspace,
      extension: "repository",
      onHang,
      ...options,
    }).catch(async (error) => {
      await browser.close();
      throw error;
    });
    const page = await browser.newPage({ viewport });
    page.setDefaultTimeout(PATIENCE_MS);
    const window = new VSCodeWindow(workspace, server, browser, page);
    try {
      await page.goto(server.url);
      await window.file("README.md").waitFor();
      await window.ready();
    } catch (error) {
      await window.close();
      throw error;
    }
    return window;
  }

  /** Waits until the extension has contributed what it has. */
  async ready(): Promise<void> {
    // The icon comes with the extension's contributions: from then on its menus are there too.
    await this.activity("Flowprobe").waitFor();
  }

  /** Reloads the window by its own command, which saves its state first. */
  async reload(): Promise<void> {
    const loaded = this.page.waitForEvent("load");
    await this.command("Developer: Reload Window");
    await loaded;
    await this.ready();
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.server.stop();
    rmSync(this.workspace, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  /** A page of the browser beside the window's, with nothing of it. */
  async newPage(options: { readonly offline?: boolean } = {}): Promise<Page> {
    const page = await this.browser.newPage(options);
    page.setDefaultTimeout(PATIENCE_MS);
    return page;
  }

  /** A row of the explorer. */
  file(name: string): Locator {
    return this.page.locator(".explorer-folders-view .monaco-list-row").filter({
      has: this.page.locator(`.label-name`, { hasText: new RegExp(`^${literally(name)}$`) }),
    });
  }

  /** An icon of the activity bar. */
  activity(name: string): Locator {
    return this.page.locator(`.activitybar .action-label[aria-label^="${name}"]`).first();
  }

  /** Right-clicks something and chooses from the menu. */
  async chooseFromMenu(target: Locator, title: string): Promise<void> {
    const item = await this.openMenu(target, title);
    await item.click();
  }

  /** Right-clicks something; gives the menu's item once it takes clicks. */
  async openMenu(target: Locator, title: string): Promise<Locator> {
    await target.click({ button: "right" });
    const item = this.menuItem(title);
    await item.waitFor();
    await this.page.waitForTimeout(MENU_DEAF_MS);
    return item;
  }

  menuItem(title: string): Locator {
    return this.page
      .locator(".monaco-menu .action-item")
      .filter({ has: this.page.locator(".action-label", { hasText: title }) })
      .first();
  }

  /** Runs a command by its title in the command palette. */
  async command(title: string): Promise<void> {
    const input = this.quickInput;
    await eventually(`the palette's command ${title}`, async () => {
      // A frame that is just being loaded keeps the key, or takes the focus and closes the palette.
      await this.page.keyboard.press("F1");
      try {
        await input.waitFor({ timeout: PALETTE_MS });
        await input.fill(`>${title}`, { timeout: PALETTE_MS });
        await this.pick(title, PALETTE_MS);
        return true;
      } catch (error) {
        if (error instanceof errors.TimeoutError) return undefined;
        throw error;
      }
    });
  }

  get quickInput(): Locator {
    return this.page.locator(".quick-input-widget:visible input[type=text]").first();
  }

  /** Types into the input box that is asked for and accepts it. */
  async answer(text: string, prompt: string): Promise<void> {
    const widget = this.page.locator(".quick-input-widget:visible");
    const asked = widget.filter({ hasText: prompt });
    await asked
      .or(widget.locator(`input[placeholder*="${prompt}"]`))
      .first()
      .waitFor();
    await this.quickInput.fill(text);
    await this.page.keyboard.press("Enter");
  }

  /** Picks an item of the list that is offered. */
  async pick(label: string, patienceMs = PATIENCE_MS): Promise<void> {
    const rows = this.page.locator(".quick-input-list:visible .monaco-list-row");
    await rows.filter({ hasText: label }).first().click({ timeout: patienceMs });
  }

  /** Saves as `file` by the dialog, once it proposes a file of this name; waits for the file. */
  async saveAs(file: string, proposed = basename(file)): Promise<void> {
    // The palette's own input may still be there for a moment.
    await eventually(`the dialog that saves ${proposed}`, async () =>
      (await this.quickInput.inputValue()).endsWith(proposed) ? true : undefined,
    );
    await this.quickInput.fill(file);
    // The dialog ignores Enter while it still reads the folder that was typed.
    await eventually(file, async () => {
      if (existsSync(file)) return true;
      if (await this.quickInput.isVisible()) await this.page.keyboard.press("Enter");
      await this.page.waitForTimeout(DIALOG_READS_MS);
      return undefined;
    });
  }

  /** A button of the dialog that waits for an answer. */
  dialogButton(label: string): Locator {
    return this.page.locator(".monaco-dialog-box .monaco-button", { hasText: label });
  }

  /** A row of a view of ours in the side bar: a model, a video or a run. */
  row(text: string | RegExp): Locator {
    return this.page.locator(".pane-body .monaco-list-row").filter({ hasText: text });
  }

  /** Ticks items of the list that is offered, and accepts it. */
  async pickSeveral(...labels: readonly string[]): Promise<void> {
    for (const label of labels) await this.pick(label);
    await this.page.locator(".quick-input-action .monaco-button", { hasText: "OK" }).click();
  }

  /** The flow panel's page, inside its two frames. */
  panel(index = 0): FrameLocator {
    return this.page
      .locator("iframe.webview.ready")
      .nth(index)
      .contentFrame()
      .locator("#active-frame")
      .contentFrame();
  }

  async closeActiveTab(): Promise<void> {
    await this.page.locator(".tab.active .tab-actions .action-label").click();
  }

  get tabs(): Locator {
    return this.page.locator(".tabs-container .tab");
  }

  notification(text: string): Locator {
    return this.page.locator(".notification-toast .notification-list-item", { hasText: text });
  }

  get statusItem(): Locator {
    return this.page.locator(".statusbar-item", { hasText: "Flowprobe:" });
  }
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Waits until a condition gives a value; says what was waited for when it does not come. */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`waited ${patienceMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
