// A reader process whose tasks misbehave, each as its parameters say.

import { InputError } from "../../src/common/errors.ts";
import { serveReader } from "../../src/host/reader/serve.ts";
import type { ReaderHandlers } from "../../src/host/reader/tasks.ts";

interface Misdeed {
  readonly kind: "answer" | "block" | "fill" | "exit" | "wait" | "refuse" | "notes";
}

const misbehave = async (
  { kind }: Misdeed,
  { signal, note }: { signal: AbortSignal; note(value: unknown): Promise<void> },
): Promise<unknown> => {
  switch (kind) {
    case "answer":
      return `from ${process.pid}`;
    case "block":
      for (;;) Math.sqrt(2);
    case "fill": {
      const kept: string[][] = [];
      for (;;) kept.push(Array.from({ length: 1e5 }, (_, i) => `${i} ${kept.length}`));
    }
    case "exit":
      process.exit(3);
      break;
    case "wait":
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return "stopped";
    case "refuse":
      throw new InputError("no such file");
    case "notes":
      for (let i = 0; i < 3; i++) await note(i);
      return "told";
  }
};

serveReader({ misbehave } as unknown as ReaderHandlers);
