import type { Pen } from "./pen.ts";
import type { Drawing } from "./section.ts";

const GAP = 16;

/** Drawings below one another as one, as wide as the widest; null when there are none. */
export function stacked(drawings: readonly (Drawing | null)[]): Drawing | null {
  const parts = drawings.filter((drawing) => drawing !== null);
  const [only] = parts;
  if (only === undefined || parts.length === 1) return only ?? null;
  return {
    width: Math.max(...parts.map(({ width }) => width)),
    height: parts.reduce((sum, { height }) => sum + height, GAP * (parts.length - 1)),
    draw: (pen) => {
      let top = 0;
      for (const part of parts) {
        part.draw(lowered(pen, top));
        top += part.height + GAP;
      }
    },
  };
}

/** A pen that draws everything `down` pixels lower. */
function lowered(pen: Pen, down: number): Pen {
  const shifted = (points: readonly number[]) =>
    points.map((value, i) => (i % 2 === 0 ? value : value + down));
  return {
    rect: (x, y, ...rest) => pen.rect(x, y + down, ...rest),
    frame: (x, y, ...rest) => pen.frame(x, y + down, ...rest),
    line: (points, ...rest) => pen.line(shifted(points), ...rest),
    polygon: (points, ...rest) => pen.polygon(shifted(points), ...rest),
    band: (x0, y0, h0, x1, y1, h1, fill) => pen.band(x0, y0 + down, h0, x1, y1 + down, h1, fill),
    marker: (shape, x, y, ...rest) => pen.marker(shape, x, y + down, ...rest),
    text: (text, x, y, style) => pen.text(text, x, y + down, style),
    picture: (picture, x, y, ...rest) => pen.picture(picture, x, y + down, ...rest),
  };
}
