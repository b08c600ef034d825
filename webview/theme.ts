/**
 * Colours for canvases and exports, read from the page: VS Code's variables for everything that has
 * one, and our own series, group and heat colours (style.css defines them per kind of theme).
 */
export interface Theme {
  readonly background: string;
  readonly foreground: string;
  readonly muted: string;
  readonly grid: string;
  readonly border: string;
  readonly focus: string;
  readonly accent: string;
  readonly fontFamily: string;
  readonly fontSize: number;
  /** Ends of the diverging scale: loss and gain of probability. */
  readonly loss: string;
  readonly gain: string;
  readonly highContrast: boolean;
  readonly dark: boolean;
  readonly series: readonly string[];
}

export const SERIES_COLORS = 8;

/** Reads the theme in force. */
export function readTheme(): Theme {
  const style = getComputedStyle(document.body);
  const value = (name: string) => style.getPropertyValue(name).trim();
  const kind = document.body.className;
  return {
    background: value("--fp-background"),
    foreground: value("--fp-foreground"),
    muted: value("--fp-muted"),
    grid: value("--fp-grid"),
    border: value("--fp-border"),
    focus: value("--fp-focus"),
    accent: value("--fp-accent"),
    fontFamily: style.fontFamily,
    fontSize: Number.parseFloat(style.fontSize) || 13,
    loss: value("--fp-loss"),
    gain: value("--fp-gain"),
    highContrast: kind.includes("high-contrast"),
    dark:
      /vscode-dark|vscode-high-contrast(?!-light)/.test(kind) && !kind.includes("contrast-light"),
    series: Array.from({ length: SERIES_COLORS }, (_, slot) => value(`--fp-s${slot + 1}`)),
  };
}

/** Calls back after VS Code has put another theme (or font size) on the page. */
export function onThemeChange(callback: () => void): void {
  const observer = new MutationObserver(callback);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["style"] });
  observer.observe(document.body, { attributes: true, attributeFilter: ["class"] });
}

/** Font of a chart's ticks and titles. */
export function chartFont({ fontFamily, fontSize }: Theme): { family: string; size: number } {
  return { family: fontFamily, size: Math.round(fontSize * 0.85) };
}

/** Whether motion should be kept away: the system's wish or VS Code's own setting. */
export function reducedMotion(): boolean {
  return (
    matchMedia("(prefers-reduced-motion: reduce)").matches ||
    document.body.classList.contains("vscode-reduce-motion")
  );
}

/** Second channel of a series beside its colour: dash pattern and point shape, by slot. */
export const DASHES: readonly (readonly number[])[] = [
  [],
  [7, 3],
  [2, 2.5],
  [9, 3, 2, 3],
  [4, 2],
  [12, 4],
  [1.5, 4],
  [6, 2, 1, 2, 1, 2],
];
export const SHAPES = [
  "circle",
  "triangle",
  "rect",
  "rectRot",
  "circle",
  "triangle",
  "rect",
  "rectRot",
] as const;
export type Shape = (typeof SHAPES)[number];

/** Anchor points of the viridis map (van der Walt and Smith, 2015), 0 … 1 in eighths. */
const VIRIDIS: readonly (readonly [number, number, number])[] = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
];

const HEAT_STEPS = 64;
/** Sequential colours for heat maps, even in lightness and safe for colour-blind readers. */
const HEAT = Array.from({ length: HEAT_STEPS }, (_, step) => {
  const at = (step / (HEAT_STEPS - 1)) * (VIRIDIS.length - 1);
  const low = VIRIDIS[Math.floor(at)] ?? [0, 0, 0];
  const high = VIRIDIS[Math.ceil(at)] ?? low;
  const share = at - Math.floor(at);
  const [r, g, b] = low.map((from, i) => Math.round(from + ((high[i] ?? from) - from) * share));
  return `rgb(${r},${g},${b})`;
});

/** Heat colour of a value in 0 … 1. */
export function heat(value: number): string {
  const step = Math.round(Math.min(Math.max(value, 0), 1) * (HEAT_STEPS - 1));
  return HEAT[step] ?? "rgb(0,0,0)";
}

/** A #rrggbb colour with an alpha share. */
export function alpha(color: string, share: number): string {
  const byte = Math.round(share * 255).toString(16);
  return /^#[0-9a-f]{6}$/i.test(color) ? `${color}${byte.padStart(2, "0")}` : color;
}
