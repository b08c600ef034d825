import type { FrameLocator, Locator, Page } from "playwright-core";
import { PATIENCE_MS } from "./window.ts";

/** In the page: the next frame has been drawn, and what it asked for. */
const TWO_FRAMES =
  "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))";

/** The flow panel as a reader sees it. */
export class PanelReader {
  /** In VS Code the panel stands in frames; exported, it is a page of its own. */
  constructor(readonly frame: FrameLocator | Page) {}

  /** What the head says of a thing done or failed: "Saved …". */
  get said(): Locator {
    return this.frame.locator(".head .said");
  }

  /** The head's line on what the engine does: "Finished in 4 s". */
  get status(): Locator {
    return this.frame.locator(".head .status-text");
  }

  get answer(): Locator {
    return this.frame.locator(".head .answer");
  }

  get question(): Locator {
    return this.frame.locator("h1.question");
  }

  /** The first chart, once it has a layer's values to say. */
  get firstChart(): Locator {
    return this.frame.locator('#view-answer canvas[aria-valuetext*="%"]');
  }

  /** Waits until the head says so. */
  async waitForStatus(text: string): Promise<void> {
    await this.status.filter({ hasText: text }).waitFor({ timeout: PATIENCE_MS });
  }

  button(name: string): Locator {
    return this.frame.locator(".head").getByRole("button", { name });
  }

  view(id: string): Locator {
    return this.frame.locator(`#view-${id}`);
  }

  /** A tool of a view's heading: "Table", "PNG". */
  tool(view: string, text: string): Locator {
    return this.view(view).locator(".tools").getByText(text, { exact: true });
  }

  /** Scrolls to a view, and waits until it has drawn: out of sight it does not. */
  async lookAt(view: string): Promise<Locator> {
    const section = this.view(view);
    await section.scrollIntoViewIfNeeded();
    await section.evaluate(TWO_FRAMES);
    return section;
  }

  /** Chooses the layer that all views show, 0-based. */
  async setLayer(layer: number): Promise<void> {
    await this.frame.locator(".layer-control input").fill(String(layer + 1));
  }

  /** Chooses in one of a view's dropdowns, by what stands before it. */
  async choose(view: string, label: string, option: string): Promise<void> {
    const field = this.view(view).locator("label.field", { hasText: label }).first();
    await field.locator("vscode-dropdown").click();
    await field.getByRole("option", { name: option, exact: true }).click();
  }

  /** A view's figures as its table shows them, header first. */
  async table(view: string): Promise<string[][]> {
    await this.lookAt(view);
    const rows = this.view(view).locator(".table-twin tr");
    if ((await rows.count()) === 0) {
      await this.tool(view, "Table").click();
      await rows.first().waitFor();
    }
    const cells = await rows.evaluateAll((elements) =>
      elements.map((row) => [...row.children].map((cell) => cell.textContent ?? "")),
    );
    return cells;
  }
}
