import type { Shape } from "./theme.ts";

/** A picture that can be put on a canvas and into an SVG file. */
export interface Picture {
  readonly bitmap: ImageBitmap;
  /** The same picture as a data URI. */
  readonly href: string;
}

export interface TextStyle {
  readonly fill: string;
  readonly size: number;
  readonly align?: "left" | "center" | "right";
  readonly baseline?: "top" | "middle" | "bottom";
  readonly bold?: boolean;
  /** Turned a quarter to the left, as the label of a vertical axis. */
  readonly vertical?: boolean;
  /** Outline in this colour, so that text stays readable on a picture. */
  readonly halo?: string;
}

/**
 * What views draw with: one drawing routine gives the screen's canvas and the exported SVG the same
 * geometry. Coordinates are CSS pixels.
 */
export interface Pen {
  rect(x: number, y: number, width: number, height: number, fill: string, alpha?: number): void;
  frame(x: number, y: number, width: number, height: number, stroke: string, line?: number): void;
  /** Polyline through x0, y0, x1, y1, … */
  line(points: readonly number[], stroke: string, width: number, dash?: readonly number[]): void;
  polygon(points: readonly number[], fill: string, alpha?: number): void;
  /** A band that flows from (x0, y0 … y0+h0) to (x1, y1 … y1+h1). */
  band(x0: number, y0: number, h0: number, x1: number, y1: number, h1: number, fill: string): void;
  marker(shape: Shape, x: number, y: number, radius: number, fill: string): void;
  text(text: string, x: number, y: number, style: TextStyle): void;
  picture(picture: Picture, x: number, y: number, width: number, height: number): void;
}

/** Corners of a point shape around (x, y); empty for a circle. */
function corners(shape: Shape, x: number, y: number, r: number): number[] {
  switch (shape) {
    case "circle":
      return [];
    case "triangle":
      return [x, y - r * 1.15, x + r, y + r * 0.8, x - r, y + r * 0.8];
    case "rect":
      return [x - r * 0.85, y - r * 0.85, x + r * 0.85, y - r * 0.85].concat([
        x + r * 0.85,
        y + r * 0.85,
        x - r * 0.85,
        y + r * 0.85,
      ]);
    case "rectRot":
      return [x, y - r * 1.15, x + r * 1.15, y, x, y + r * 1.15, x - r * 1.15, y];
  }
}

/**
 * A pen for a canvas of the given size in CSS pixels, wiped, at the screen's own resolution; null where
 * the browser gives no context.
 */
export function penOn(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
  fontFamily: string,
): CanvasPen | null {
  const ratio = window.devicePixelRatio || 1;
  const [columns, rows] = [Math.round(width * ratio), Math.round(height * ratio)];
  // Setting a canvas's size, even to what it is, throws its memory away.
  if (canvas.width !== columns || canvas.height !== rows) {
    canvas.width = columns;
    canvas.height = rows;
  }
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  if (context === null) return null;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return new CanvasPen(context, fontFamily);
}

/** Draws on a canvas. */
export class CanvasPen implements Pen {
  readonly #context: CanvasRenderingContext2D;
  readonly #family: string;

  constructor(context: CanvasRenderingContext2D, fontFamily: string) {
    this.#context = context;
    this.#family = fontFamily;
  }

  /** Width of a text as it would be drawn, in CSS pixels. */
  widthOf(text: string, size: number): number {
    this.#context.font = `${size}px ${this.#family}`;
    return this.#context.measureText(text).width;
  }

  rect(x: number, y: number, width: number, height: number, fill: string, alpha = 1): void {
    const context = this.#context;
    context.fillStyle = fill;
    context.globalAlpha = alpha;
    context.fillRect(x, y, width, height);
    context.globalAlpha = 1;
  }

  frame(x: number, y: number, width: number, height: number, stroke: string, line = 1): void {
    this.#context.strokeStyle = stroke;
    this.#context.lineWidth = line;
    this.#context.setLineDash([]);
    this.#context.strokeRect(x, y, width, height);
  }

  line(points: readonly number[], stroke: string, width: number, dash: readonly number[] = []) {
    this.#path(points);
    this.#context.strokeStyle = stroke;
    this.#context.lineWidth = width;
    this.#context.setLineDash([...dash]);
    this.#context.stroke();
  }

  polygon(points: readonly number[], fill: string, alpha = 1): void {
    this.#path(points);
    this.#context.fillStyle = fill;
    this.#context.globalAlpha = alpha;
    this.#context.fill();
    this.#context.globalAlpha = 1;
  }

  band(x0: number, y0: number, h0: number, x1: number, y1: number, h1: number, fill: string): void {
    const context = this.#context;
    const middle = (x0 + x1) / 2;
    context.beginPath();
    context.moveTo(x0, y0);
    context.bezierCurveTo(middle, y0, middle, y1, x1, y1);
    context.lineTo(x1, y1 + h1);
    context.bezierCurveTo(middle, y1 + h1, middle, y0 + h0, x0, y0 + h0);
    context.closePath();
    context.fillStyle = fill;
    context.globalAlpha = 0.55;
    context.fill();
    context.globalAlpha = 1;
  }

  marker(shape: Shape, x: number, y: number, radius: number, fill: string): void {
    if (shape !== "circle") {
      this.polygon(corners(shape, x, y, radius), fill);
      return;
    }
    this.#context.beginPath();
    this.#context.arc(x, y, radius, 0, 2 * Math.PI);
    this.#context.fillStyle = fill;
    this.#context.fill();
  }

  text(text: string, x: number, y: number, style: TextStyle): void {
    const context = this.#context;
    context.font = `${style.bold ? "600 " : ""}${style.size}px ${this.#family}`;
    context.textAlign = style.align ?? "left";
    context.textBaseline = style.baseline ?? "middle";
    if (style.vertical) {
      context.save();
      context.translate(x, y);
      context.rotate(-Math.PI / 2);
      context.translate(-x, -y);
    }
    if (style.halo !== undefined) {
      context.strokeStyle = style.halo;
      context.lineWidth = 3;
      context.lineJoin = "round";
      context.setLineDash([]);
      context.strokeText(text, x, y);
    }
    context.fillStyle = style.fill;
    context.fillText(text, x, y);
    if (style.vertical) context.restore();
  }

  picture(picture: Picture, x: number, y: number, width: number, height: number): void {
    this.#context.drawImage(picture.bitmap, x, y, width, height);
  }

  #path(points: readonly number[]): void {
    this.#context.beginPath();
    for (let i = 0; i + 1 < points.length; i += 2) {
      const x = points[i] ?? 0;
      const y = points[i + 1] ?? 0;
      if (i === 0) this.#context.moveTo(x, y);
      else this.#context.lineTo(x, y);
    }
  }
}

const round = (value: number) => Number(value.toFixed(2));

/** Escapes text for XML; control characters, which XML forbids, are dropped. */
export function xmlText(text: string): string {
  return text
    .replace(/\p{Cc}/gu, "")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/**
 * Writes SVG. Written here rather than taken from a canvas-to-SVG library: those replay canvas calls
 * and lose text alignment and dashes, while our views need these nine shapes only.
 */
export class SvgPen implements Pen {
  readonly #parts: string[] = [];
  readonly #family: string;

  constructor(fontFamily: string) {
    this.#family = fontFamily;
  }

  rect(x: number, y: number, width: number, height: number, fill: string, alpha = 1): void {
    const opacity = alpha === 1 ? "" : ` fill-opacity="${round(alpha)}"`;
    this.#parts.push(
      `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" fill="${xmlText(fill)}"${opacity}/>`,
    );
  }

  frame(x: number, y: number, width: number, height: number, stroke: string, line = 1): void {
    this.#parts.push(
      `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" fill="none" stroke="${xmlText(stroke)}" stroke-width="${round(line)}"/>`,
    );
  }

  line(points: readonly number[], stroke: string, width: number, dash: readonly number[] = []) {
    if (points.length < 4) return;
    const pattern = dash.length === 0 ? "" : ` stroke-dasharray="${dash.join(" ")}"`;
    this.#parts.push(
      `<polyline points="${this.#points(points)}" fill="none" stroke="${xmlText(stroke)}" stroke-width="${round(width)}"${pattern}/>`,
    );
  }

  polygon(points: readonly number[], fill: string, alpha = 1): void {
    const opacity = alpha === 1 ? "" : ` fill-opacity="${round(alpha)}"`;
    this.#parts.push(
      `<polygon points="${this.#points(points)}" fill="${xmlText(fill)}"${opacity}/>`,
    );
  }

  band(x0: number, y0: number, h0: number, x1: number, y1: number, h1: number, fill: string): void {
    const m = round((x0 + x1) / 2);
    const [a, b, c, d] = [y0, y0 + h0, y1, y1 + h1].map(round);
    this.#parts.push(
      `<path d="M${round(x0)} ${a}C${m} ${a} ${m} ${c} ${round(x1)} ${c}V${d}C${m} ${d} ${m} ${b} ${round(x0)} ${b}Z" fill="${xmlText(fill)}" fill-opacity="0.55"/>`,
    );
  }

  marker(shape: Shape, x: number, y: number, radius: number, fill: string): void {
    if (shape !== "circle") {
      this.polygon(corners(shape, x, y, radius), fill);
      return;
    }
    this.#parts.push(
      `<circle cx="${round(x)}" cy="${round(y)}" r="${round(radius)}" fill="${xmlText(fill)}"/>`,
    );
  }

  text(text: string, x: number, y: number, style: TextStyle): void {
    const anchor = { left: "start", center: "middle", right: "end" }[style.align ?? "left"];
    const shift = { top: 0.8, middle: 0.35, bottom: -0.2 }[style.baseline ?? "middle"] * style.size;
    const turn = style.vertical ? ` transform="rotate(-90 ${round(x)} ${round(y)})"` : "";
    const halo =
      style.halo === undefined
        ? ""
        : ` stroke="${xmlText(style.halo)}" stroke-width="3" stroke-linejoin="round" paint-order="stroke"`;
    this.#parts.push(
      `<text x="${round(x)}" y="${round(y + shift)}" font-size="${round(style.size)}" fill="${xmlText(style.fill)}" text-anchor="${anchor}"${style.bold ? ' font-weight="600"' : ""}${halo}${turn}>${xmlText(text)}</text>`,
    );
  }

  picture(picture: Picture, x: number, y: number, width: number, height: number): void {
    this.#parts.push(
      `<image x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" preserveAspectRatio="none" href="${xmlText(picture.href)}"/>`,
    );
  }

  /** The whole file: `width` x `height` CSS pixels on `background`. */
  finish(width: number, height: number, background: string, title: string): string {
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${round(width)}" height="${round(height)}" viewBox="0 0 ${round(width)} ${round(height)}" font-family="${xmlText(this.#family)}" role="img"><title>${xmlText(title)}</title><rect width="100%" height="100%" fill="${xmlText(background)}"/>${this.#parts.join("")}</svg>\n`;
  }

  #points(points: readonly number[]): string {
    const pairs: string[] = [];
    for (let i = 0; i + 1 < points.length; i += 2) {
      pairs.push(`${round(points[i] ?? 0)},${round(points[i + 1] ?? 0)}`);
    }
    return pairs.join(" ");
  }
}
