import { gridInWords } from "../../src/protocol/grid.ts";
import type { Context } from "../context.ts";
import { el, fill, setText, visibleToken } from "../dom.ts";
import { GROUP_KINDS, type PromptPosition } from "../prompt-map.ts";
import { Section, type View } from "../section.ts";
import type { Topic } from "../store.ts";
import { describePosition, KIND_NAMES } from "./token-text.ts";

/** The prompt's tokens coloured by group; the video stands as one chip where its tokens are. */
export class PromptView implements View {
  readonly id = "prompt";
  readonly section: Section;
  readonly #context: Context;
  readonly #legend = el("ul", { class: "legend static" });
  readonly #tokens = el("div", { class: "tokens", role: "listbox", "aria-label": "Prompt tokens" });
  readonly #detail = el("p", { class: "token-detail", role: "status" });
  readonly #byPosition = new Map<number, HTMLElement>();
  #chosen: HTMLElement | null = null;
  #hovered: HTMLElement | null = null;

  constructor(context: Context) {
    this.#context = context;
    this.section = new Section(context, "prompt", "Prompt", {
      exports: { table: () => this.#table(), drawing: () => null },
    });
    this.section.body.append(this.#legend, this.#tokens, this.#detail);
    this.#listen();
  }

  available(): boolean {
    return this.#context.store.run !== null;
  }

  render(changed: ReadonlySet<Topic>): void {
    if (changed.has("run")) this.#renderTokens();
    this.#renderChosen();
    if (changed.size > 1 || !changed.has("selection")) this.section.refresh();
  }

  #renderTokens(): void {
    const { map } = this.#context.store;
    this.#byPosition.clear();
    this.#chosen = null;
    this.#hovered = null;
    if (map === null) {
      fill(this.#tokens);
      return;
    }
    const first = map.videoPositions[0] ?? -1;
    const nodes: Node[] = [];
    let videoDone = map.videoPositions.length === 0;
    for (const token of map.text) {
      if (!videoDone && token.position > first) {
        videoDone = true;
        nodes.push(this.#videoChip());
      }
      nodes.push(this.#token(token));
      if (token.text.includes("\n")) nodes.push(el("br"));
    }
    if (!videoDone) nodes.push(this.#videoChip());
    fill(this.#tokens, ...nodes);
    const kinds = new Set(map.text.map(({ kind }) => kind));
    if (map.videoPositions.length > 0) kinds.add("video");
    fill(
      this.#legend,
      ...GROUP_KINDS.filter((kind) => kinds.has(kind)).map((kind) =>
        el(
          "li",
          {},
          el("span", { class: `chip kind-${kind}`, "aria-hidden": "true" }),
          KIND_NAMES[kind],
        ),
      ),
    );
  }

  #token(token: PromptPosition): HTMLElement {
    const node = el(
      "span",
      {
        class: `token kind-${token.kind}`,
        role: "option",
        tabindex: -1,
        "aria-selected": "false",
        "data-position": token.position,
        title: describePosition(this.#context.store, token.position),
      },
      tokenFace(token.text),
    );
    if (this.#byPosition.size === 0) node.tabIndex = 0;
    this.#byPosition.set(token.position, node);
    return node;
  }

  #videoChip(): HTMLElement {
    const { map, run } = this.#context.store;
    const grid = run?.tokens.grid;
    const text = `▦ ${map?.videoPositions.length ?? 0} video tokens`;
    const title = grid === undefined ? "" : gridInWords(grid);
    return el("span", { class: "token kind-video video-chip", title }, text);
  }

  #renderChosen(): void {
    const { store } = this.#context;
    const mark = (old: HTMLElement | null, position: number | null, name: string) => {
      const node = position === null ? null : (this.#byPosition.get(position) ?? null);
      if (node !== old) {
        old?.classList.remove(name);
        node?.classList.add(name);
      }
      return node;
    };
    const before = this.#chosen;
    this.#chosen = mark(this.#chosen, store.token, "chosen");
    this.#hovered = mark(this.#hovered, store.hover.token, "hovered");
    if (before !== this.#chosen) {
      before?.setAttribute("aria-selected", "false");
      this.#chosen?.setAttribute("aria-selected", "true");
    }
    const shown = store.hover.token ?? store.token;
    setText(
      this.#detail,
      shown === null
        ? "Point at a token, or choose one, to follow it."
        : describePosition(store, shown),
    );
  }

  #listen(): void {
    const { store } = this.#context;
    const positionOf = (event: Event): number | null => {
      const node = event.target instanceof Element ? event.target.closest("[data-position]") : null;
      const text = node?.getAttribute("data-position") ?? null;
      return text === null ? null : Number(text);
    };
    this.#tokens.addEventListener("pointerover", (event) =>
      store.setHover({ token: positionOf(event) }),
    );
    this.#tokens.addEventListener("pointerleave", () => store.setHover({ token: null }));
    this.#tokens.addEventListener("click", (event) => {
      const position = positionOf(event);
      if (position !== null) store.chooseToken(position === store.token ? null : position);
    });
    this.#tokens.addEventListener("keydown", (event) => {
      const order = [...this.#byPosition.keys()];
      const at = order.indexOf(positionOf(event) ?? -1);
      const target = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: order.length - 1 }[
        event.key
      ];
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        const position = order[at];
        if (position !== undefined) store.chooseToken(position === store.token ? null : position);
        return;
      }
      const position = target === undefined ? undefined : order[target];
      if (position === undefined) return;
      event.preventDefault();
      for (const node of this.#byPosition.values()) node.tabIndex = -1;
      const node = this.#byPosition.get(position);
      if (node === undefined) return;
      node.tabIndex = 0;
      node.focus();
      store.setHover({ token: position });
    });
  }

  #table() {
    const { map } = this.#context.store;
    if (map === null) return null;
    return {
      caption: "Prompt tokens that are not video",
      columns: [{ name: "Position" }, { name: "token" }, { name: "groups" }],
      rows: map.text.map(({ position, text, groups }) => [
        position,
        visibleToken(text),
        groups.join(" "),
      ]),
    };
  }
}

/** A token on its coloured ground: spaces need no sign there. */
function tokenFace(text: string): string {
  return visibleToken(text).replaceAll("·", "\u00a0");
}
