/** How the layers of runs stand beside one another. */
export interface Alignment {
  /** Layers of the common axis: those of the deepest run. */
  readonly layers: number;
  /** Whether the runs differ in depth, so that layers were matched by their relative depth. */
  readonly relative: boolean;
  /** [runs][layers]: the run's own layer, 0-based, that stands at a layer of the axis. */
  readonly own: readonly (readonly number[])[];
}

/**
 * Lays the layers of runs on one axis. Where depths differ, each layer of the deepest run is matched
 * with the layer of another run that is nearest in relative depth, (l + 1) / L, so that first stands
 * beside first and last beside last; nothing is interpolated, a shallower run's layers repeat.
 *
 * @param depths layers of each run.
 */
export function alignLayers(depths: readonly number[]): Alignment {
  const layers = Math.max(0, ...depths);
  return {
    layers,
    relative: depths.some((depth) => depth !== layers),
    own: depths.map((depth) =>
      Array.from({ length: layers }, (_, layer) =>
        Math.max(0, Math.round(((layer + 1) / layers) * depth) - 1),
      ),
    ),
  };
}
