import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Browser, chromium, type Locator, type Page } from "playwright-core";
import { CHROMIUM_ARGUMENTS, chromiumPath } from "../../scripts/chromium.ts";
import { panelHtml } from "../../src/host/panel/page-html.ts";
import type { RunEvent } from "../../src/protocol/events.ts";
import type { SyntheticOptions } from "./synthetic-run.ts";
import themes from "./themes.json" with { type: "json" };

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export type ThemeKind = keyof typeof themes;
export const THEMES = Object.keys(themes) as ThemeKind[];
export { themes };

interface Bundle {
  readonly script: string;
  readonly style: string;
  /** Scripts that stand for the host, by the path of the page they are for. */
  readonly hosts: ReadonlyMap<string, string>;
}

/** Path of a comparison's page; the panel of one run is at the root. */
export const COMPARE_PATH = "/compare";

let bundled: Promise<Bundle> | undefined;

/** The panel as it is shipped (`dist/`, built when it is out of date), and the fake host. */
export function bundle(): Promise<Bundle> {
  bundled ??= (async () => {
    execFileSync(process.execPath, ["scripts/build.mjs"], { cwd: ROOT, stdio: "inherit" });
    const host = async (name: string) => {
      const built = await build({
        entryPoints: [join(ROOT, "test/panel", name)],
        bundle: true,
        format: "iife",
        target: "es2022",
        write: false,
      });
      return built.outputFiles[0]?.text ?? "";
    };
    return {
      script: readFileSync(join(ROOT, "dist/webview.js"), "utf8"),
      style: readFileSync(join(ROOT, "dist/webview.css"), "utf8"),
      hosts: new Map([
        ["/", await host("fake-host.ts")],
        [COMPARE_PATH, await host("compare-host.ts")],
      ]),
    };
  })();
  return bundled;
}

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".css": "text/css",
  ".html": "text/html",
  ".mp4": "video/mp4",
  ".webm": "video/webm",
};

export interface OpenOptions {
  readonly theme?: ThemeKind;
  readonly width?: number;
  readonly height?: number;
  readonly scale?: number;
  readonly reducedMotion?: boolean;
  /** Leaves VS Code's variables away, as in a plain browser. */
  readonly unthemed?: boolean;
  /** Path of a clip under the project's root, played from a URL as in a webview. */
  readonly video?: string;
}

/** The browser with a server of the panel's page; one per test file. */
export class PanelBrowser {
  readonly browser: Browser;
  readonly #server: Server;
  readonly #origin: string;
  /** Console errors and uncaught exceptions of all pages, in order. */
  readonly errors: string[] = [];
  /** Extra pages by path, for exported files. */
  readonly pages = new Map<string, string>();

  private constructor(browser: Browser, server: Server, origin: string) {
    this.browser = browser;
    this.#server = server;
    this.#origin = origin;
  }

  static async start(): Promise<PanelBrowser> {
    const { script, style } = await bundle();
    let self: PanelBrowser | undefined;
    const server = createServer((request, response) => {
      const path = new URL(request.url ?? "/", "http://x").pathname;
      const clip = join(ROOT, "samples", path.slice("/samples/".length));
      const body =
        path === "/webview.js"
          ? script
          : path === "/webview.css"
            ? style
            : path.startsWith("/samples/") && existsSync(clip) && dirname(clip) !== ROOT
              ? readFileSync(clip)
              : self?.pages.get(path);
      if (body === undefined) {
        response.writeHead(path === "/favicon.ico" ? 204 : 404).end();
        return;
      }
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "text/html" }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const origin = `http://127.0.0.1:${port}`;
    const browser = await chromium.launch({
      executablePath: chromiumPath(),
      args: [...CHROMIUM_ARGUMENTS],
    });
    self = new PanelBrowser(browser, server, origin);
    for (const [path, root] of [
      ["/", "panel"],
      [COMPARE_PATH, "compare"],
    ] as const) {
      self.pages.set(
        path,
        panelHtml({
          cspSource: origin,
          nonce: "n0nce",
          scriptUri: `${origin}/webview.js`,
          styleUri: `${origin}/webview.css`,
          root,
        }),
      );
    }
    return self;
  }

  /** A fresh page of the panel under its real content-security policy, with the fake host in it. */
  async open(options: OpenOptions = {}, path = "/"): Promise<Page> {
    const { theme = "vscode-dark", width = 1200, height = 900, scale = 1 } = options;
    const page = await this.browser.newPage({
      viewport: { width, height },
      deviceScaleFactor: scale,
      reducedMotion: options.reducedMotion === true ? "reduce" : "no-preference",
    });
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") {
        this.errors.push(message.text());
      }
    });
    page.on("pageerror", (error) => this.errors.push(String(error)));
    const host = (await bundle()).hosts.get(path);
    if (host !== undefined) await page.addInitScript({ content: host });
    if (path === "/") {
      await page.addInitScript(
        (uri: string | null) => {
          window.fakeHost.identity = { ...window.fakeHost.identity, videoUri: uri };
        },
        options.video === undefined ? null : `${this.#origin}/${options.video}`,
      );
    }
    // VS Code puts its variables on the root element and the kind of theme on the body.
    await page.addInitScript({
      content: `{
        const { className, variables } = ${JSON.stringify(themes[theme])};
        const observer = new MutationObserver(() => {
          if (document.body === null) return;
          for (const [name, value] of Object.entries(variables)) {
            document.documentElement.style.setProperty(name, value);
          }
          document.body.className = className;
          observer.disconnect();
        });
        ${options.unthemed === true ? "" : "observer.observe(document, { childList: true, subtree: true });"}
      }`,
    });
    await page.goto(`${this.#origin}${path}`);
    return page;
  }

  async stop(): Promise<void> {
    await this.browser.close();
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** Opens a page and replays a synthetic run in it. */
export async function openRun(
  browser: PanelBrowser,
  run: SyntheticOptions,
  options: OpenOptions = {},
): Promise<Page> {
  const page = await browser.open(options);
  await page.evaluate((wanted) => window.fakeHost.emit(window.fakeHost.synthetic(wanted)), run);
  await settled(page);
  return page;
}

/** Waits until everything scheduled has been drawn. */
export async function settled(page: Page): Promise<void> {
  await page.evaluate(() => window.fakeWindow.settled());
}

/** The text of an element as a reader sees it: hidden parts left out. */
export async function seen(locator: Locator): Promise<string> {
  return (await locator.allInnerTexts()).join("\n");
}

/** Rows of a view's table twin, header first; switches it on when it is off. */
export async function tableOf(page: Page, view: string): Promise<string[][]> {
  const toggle = page.locator(`#view-${view} .tools vscode-button`).first();
  if ((await toggle.getAttribute("aria-pressed")) !== "true") {
    await toggle.click();
    await settled(page);
  }
  return await page
    .locator(`#view-${view} .table-twin tr`)
    .evaluateAll((rows) =>
      rows.map((row) => [...row.children].map((cell) => cell.textContent ?? "")),
    );
}

/** The events of a synthetic run of one type, as the test sees them. */
export function eventsOf<T extends RunEvent["type"]>(events: readonly RunEvent[], type: T) {
  return events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);
}
