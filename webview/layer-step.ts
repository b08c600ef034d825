/** The layer an arrow, Page, Home or End key moves to; null for other keys. */
export function layerStep(key: string, layer: number, layers: number): number | null {
  const last = layers - 1;
  const steps: Readonly<Record<string, number>> = {
    ArrowRight: layer + 1,
    ArrowUp: layer + 1,
    ArrowLeft: layer - 1,
    ArrowDown: layer - 1,
    PageUp: layer + 4,
    PageDown: layer - 4,
    Home: 0,
    End: last,
  };
  const target = Object.hasOwn(steps, key) ? steps[key] : undefined;
  return target === undefined || last < 0 ? null : Math.min(Math.max(target, 0), last);
}
