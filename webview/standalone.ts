import type {
  PanelRequestName,
  PanelRequests,
  RunIdentity,
  SaveRequest,
} from "../src/host/panel/protocol.ts";
import { eventFromJson, STANDALONE_RUN_ID } from "../src/host/panel/standalone.ts";
import type { RunEvent } from "../src/runs/events.ts";
import { el } from "./dom.ts";

/** A run inside an exported page. */
export interface StandaloneRun {
  readonly identity: RunIdentity;
  readonly events: readonly RunEvent[];
}

/** The run inlined in this page, or null when this is a webview of the editor. */
export function standaloneRun(): StandaloneRun | null {
  const text = document.getElementById(STANDALONE_RUN_ID)?.textContent;
  if (text === undefined || text === null) return null;
  const { title, events } = JSON.parse(text) as { title: string; events: unknown[] };
  return {
    identity: {
      id: "standalone",
      title,
      videoUri: null,
      readOnly: "This page is an export; open the run in the editor to ask for more.",
    },
    events: events.map(eventFromJson),
  };
}

const MIME = { png: "image/png", svg: "image/svg+xml", csv: "text/csv" } as const;

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
