import type { RunEvent, Tensor } from "../src/protocol/events.ts";
import {
  type PanelRequestName,
  type PanelRequests,
  type RunIdentity,
  type SaveRequest,
  STANDALONE_RUN_ID,
} from "../src/protocol/panel.ts";
import { tensorElements } from "../src/protocol/tensors.ts";
import { el } from "./dom.ts";

/** A run inside an exported page. */
export interface StandaloneRun {
  readonly identity: RunIdentity;
  readonly events: readonly RunEvent[];
}

/** A tensor as the run file holds it, made whole again; the page was written from checked events. */
function revive(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (!("base64" in value && "dtype" in value && "shape" in value)) return value;
  const { dtype, shape, base64 } = value as Omit<Tensor, "data"> & { base64: string };
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const data = tensorElements(dtype, bytes);
  if (data === undefined) throw new Error("this page's run is damaged");
  return { dtype, shape, data } satisfies Tensor;
}

/** The run inlined in this page, or null when this is a webview of the editor. */
export function standaloneRun(): StandaloneRun | null {
  const text = document.getElementById(STANDALONE_RUN_ID)?.textContent;
  if (text === undefined || text === null) return null;
  const { title, events } = JSON.parse(text, revive) as Omit<StandaloneRun, "identity"> & {
    title: string;
  };
  return {
    identity: {
      id: "standalone",
      title,
      videoUri: null,
      readOnly: "This page is an export; open the run in the editor to ask for more.",
    },
    events,
  };
}

const MIME = {
  png: "image/png",
  svg: "image/svg+xml",
  csv: "text/csv",
  json: "application/json",
} as const;

/** In an exported page the browser saves files itself; there is no host to ask for anything else. */
export function saveByDownload<N extends PanelRequestName>(
  name: N,
  params: PanelRequests[N]["params"],
): Promise<PanelRequests[N]["result"]> {
  if (name !== "save") return Promise.reject(new Error("This page is an export of a run."));
  const file = params as SaveRequest;
  const url = URL.createObjectURL(new Blob([file.data], { type: MIME[file.format] }));
  el("a", { href: url, download: file.name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  return Promise.resolve({ saved: file.name } as PanelRequests[N]["result"]);
}
