import type { FlowFamily, Lane } from "./flow-stages.ts";

/** A token group, before or after a family of edges has acted within it. */
export interface SankeyNode {
  readonly lane: Lane;
  readonly label: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A family of edges as a ribbon between two groups. */
export interface SankeyLink {
  readonly family: FlowFamily;
  readonly x0: number;
  readonly x1: number;
  /** Top of the ribbon at both ends, and its thickness. */
  readonly y0: number;
  readonly y1: number;
  readonly size: number;
}

export interface SankeyLayout {
  readonly width: number;
  readonly height: number;
  readonly nodes: readonly SankeyNode[];
  readonly links: readonly SankeyLink[];
}

/** Thickness of a ribbon whose cut costs the whole answer. */
export const FULL_WIDTH = 52;
/** A family that was measured and costs nothing still leaves a trace. */
const LEAST_WIDTH = 1;
const NODE_WIDTH = 12;
const LEAST_NODE = 18;
const SIDE = 46;
const GAP = 3;
const HEIGHT = 190;
/** Room for a group's name above or below it. */
const NAME_ROOM = 20;

/** Height of a lane's middle: the question lies above the straight way from the video to the last token. */
const MIDDLE: Readonly<Record<Lane, number>> = {
  Video: 0.56,
  Question: 0.28,
  Options: 0.86,
  Last: 0.56,
};

/** Names of a group's two states where edges within the group were cut. */
const STATES: Readonly<Record<Lane, readonly [before: string, after: string]>> = {
  Video: ["Frames apart", "Frames together"],
  Question: ["Question, earlier", "Question, later"],
  Options: ["Options, earlier", "Options, later"],
  Last: ["Last, earlier", "Last, later"],
};

/** Thickness of a family's ribbon: its largest loss as a share of the whole answer. */
export function ribbonWidth({ loss }: Pick<FlowFamily, "loss">): number {
  return Math.max(LEAST_WIDTH, (FULL_WIDTH * Math.min(100, loss)) / 100);
}

/**
 * Lays measured edge families out from left to right. Only groups that a measured family joins have a
 * place; a group with edges cut within it has two, before and after.
 */
export function laySankey(
  families: readonly FlowFamily[],
  lanes: readonly Lane[],
  width: number,
): SankeyLayout {
  const own = (lane: Lane) => families.some(({ from, to }) => from === lane && to === lane);
  const used = lanes.filter((lane) =>
    families.some(({ from, to }) => from === lane || to === lane),
  );
  const columns = used.flatMap((lane) => (own(lane) ? [`${lane}/0`, `${lane}/1`] : [`${lane}/0`]));
  const key = (lane: Lane, end: "source" | "target", within: boolean) => {
    if (!own(lane)) return `${lane}/0`;
    // What flows in comes before the edges within the group, what flows out after them.
    return (end === "source") === within ? `${lane}/0` : `${lane}/1`;
  };
  const ends = families.map((family) => {
    const within = family.from === family.to;
    return {
      family,
      size: ribbonWidth(family),
      source: key(family.from, "source", within),
      target: within ? `${family.to}/1` : key(family.to, "target", false),
    };
  });
  const sum = (sizes: readonly number[]) => sizes.reduce((a, b) => a + b + GAP, -GAP);
  const tall = used.includes("Options") ? 1.45 : 1;
  const height = HEIGHT * tall;
  const at = (column: string) => {
    const index = columns.indexOf(column);
    return SIDE + (index / Math.max(1, columns.length - 1)) * (width - 2 * SIDE - NODE_WIDTH);
  };
  const placed = new Map(
    columns.map((column) => {
      const lane = column.slice(0, -2) as Lane;
      const out = ends.filter(({ source }) => source === column).map(({ size }) => size);
      const into = ends.filter(({ target }) => target === column).map(({ size }) => size);
      const tallness = Math.max(LEAST_NODE, sum(out), sum(into));
      const node: SankeyNode = {
        lane,
        label: own(lane) ? STATES[lane][column.endsWith("/1") ? 1 : 0] : lane,
        x: at(column),
        y: height * MIDDLE[lane] - tallness / 2,
        width: NODE_WIDTH,
        height: tallness,
      };
      return [column, node] as const;
    }),
  );
  // Nothing above the highest group and below the lowest one but their names.
  const lowest = Math.min(...[...placed.values()].map(({ y }) => y)) - NAME_ROOM;
  const nodes = new Map(
    [...placed].map(([column, node]) => [column, { ...node, y: node.y - lowest }]),
  );
  const bottom = Math.max(...[...nodes.values()].map(({ y, height }) => y + height)) + NAME_ROOM;
  // At a group, ribbons lie in the order of where they lead, so that few of them cross.
  const slots = (column: string, end: "source" | "target") => {
    const other = end === "source" ? "target" : "source";
    return ends
      .filter((link) => link[end] === column)
      .sort(
        (a, b) =>
          heightOf(nodes, a[other]) - heightOf(nodes, b[other]) ||
          columns.indexOf(a[other]) - columns.indexOf(b[other]),
      );
  };
  const top = (column: string, end: "source" | "target", family: FlowFamily) => {
    const node = nodes.get(column);
    const list = slots(column, end);
    const above = list.slice(
      0,
      list.findIndex((link) => link.family === family),
    );
    const all = sum(list.map(({ size }) => size));
    const start = (node?.y ?? 0) + ((node?.height ?? 0) - all) / 2;
    return start + above.reduce((y, { size }) => y + size + GAP, 0);
  };
  return {
    width,
    height: Math.max(bottom, FULL_WIDTH + NAME_ROOM),
    nodes: [...nodes.values()],
    links: ends.map(({ family, size, source, target }) => ({
      family,
      size,
      x0: (nodes.get(source)?.x ?? 0) + NODE_WIDTH,
      x1: nodes.get(target)?.x ?? 0,
      y0: top(source, "source", family),
      y1: top(target, "target", family),
    })),
  };
}

function heightOf(nodes: ReadonlyMap<string, SankeyNode>, column: string): number {
  const node = nodes.get(column);
  return node === undefined ? 0 : node.y + node.height / 2;
}
