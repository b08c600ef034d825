import type { EngineSettings } from "../../protocol/requests.ts";
import {
  type EngineRequest,
  type EngineResults,
  type FromEngine,
  type ServedEngine,
  type ToEngine,
  toErrorMessage,
} from "./protocol.ts";

/**
 * Serves an engine to the process that started this one, until that one is gone. Ctrl-C in a terminal
 * reaches both processes; here it is ignored, as the other one then asks for the cancellation.
 *
 * @param makeEngine called once, with the settings that come first.
 * @throws Error when this process was not started by an engine client.
 */
export function serveEngine(makeEngine: (settings: EngineSettings) => ServedEngine): void {
  if (process.send === undefined) {
    throw new Error("the engine is started by Flowprobe and answers to it alone");
  }
  const tell = (message: FromEngine) => process.send?.(message);
  const aborts = new Map<number, AbortController>();
  let engine: ServedEngine | undefined;

  const answer = async (id: number, request: EngineRequest) => {
    const abort = new AbortController();
    aborts.set(id, abort);
    try {
      if (engine === undefined) throw new Error("the engine was asked before it was configured");
      const result = await perform(engine, request, tell, id, abort.signal);
      tell({ kind: "result", id, result });
    } catch (error) {
      tell({ kind: "error", id, error: toErrorMessage(error) });
    } finally {
      aborts.delete(id);
    }
  };

  process.on("message", (message: ToEngine) => {
    switch (message.kind) {
      case "configure":
        engine = makeEngine(message.settings);
        return;
      case "request":
        void answer(message.id, message.request);
        return;
      case "cancel":
        aborts.get(message.id)?.abort();
    }
  });
  process.on("disconnect", () => process.exit());
  process.on("SIGINT", () => {});
}

async function perform(
  engine: ServedEngine,
  request: EngineRequest,
  tell: (message: FromEngine) => void,
  id: number,
  signal: AbortSignal,
): Promise<EngineResults[keyof EngineResults]> {
  const sink = (event: Extract<FromEngine, { kind: "event" }>["event"]) =>
    tell({ kind: "event", id, event });
  switch (request.kind) {
    case "describe":
      return engine.describe(request.folder);
    case "forecast":
      return engine.forecast(request.job);
    case "warm":
      await engine.warm(request.folder);
      return undefined;
    case "run":
      await engine.run(request.job, sink, signal);
      return undefined;
    case "experiment":
      await engine.experiment(request.request, request.experiment, sink, signal);
      return undefined;
    case "observe":
      await engine.observe(request.observations, sink, signal);
      return undefined;
  }
}
