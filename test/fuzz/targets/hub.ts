import { planDownload } from "../../../src/hub/plan.ts";
import type { Send } from "../../../src/hub/requests.ts";
import { HubFixture, MODEL } from "../../support/hub-fixture.ts";
import { changeBytes, changeJson, type Mutated } from "../mutate.ts";
import type { Target } from "../target.ts";

/** Answers of a plan and of a search that an input may change. */
const ANSWERS = 12;

let fixture: Promise<HubFixture> | undefined;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** An answer with changes: to its JSON, its bytes, its status, or the page it says comes next. */
async function changedAnswer(url: string, good: Response, { edits }: Mutated): Promise<Response> {
  let body: Buffer = Buffer.from(await good.arrayBuffer());
  const headers = new Headers(good.headers);
  let { status } = good;
  for (const edit of edits) {
    const text = body.toString("utf8");
    if (edit.kind % 8 === 0) headers.set("link", `<${url}>; rel="next"`);
    else if (edit.kind % 8 === 1) status = [200, 206, 401, 403, 404, 416][edit.value % 6] ?? 200;
    else if (edit.kind % 8 < 6 && isJson(text)) {
      body = Buffer.from(JSON.stringify(changeJson(JSON.parse(text), [edit])) ?? "");
    } else body = changeBytes(body, [edit]);
  }
  for (const name of ["content-length", "content-encoding"]) headers.delete(name);
  return new Response(status === 204 ? null : new Uint8Array(body), { status, headers });
}

export const HUB_TARGETS: readonly Target[] = [
  {
    name: "hub",
    shortRuns: 80,
    bases: ANSWERS,
    run: async (input) => {
      fixture ??= HubFixture.start();
      const hub = await fixture;
      let number = 0;
      const send: Send = async (url, init) => {
        const good = await fetch(url, init);
        return number++ === input.base ? changedAnswer(url, good, input) : good;
      };
      const client = hub.client({ send });
      const plan = await planDownload(client, MODEL, "main");
      if (!Number.isSafeInteger(plan.bytes) || plan.bytes < 0) {
        throw new Error(`a download of ${plan.bytes} bytes`);
      }
      for (const { name, downloads } of await client.search("tiny")) {
        if (typeof name !== "string" || typeof downloads !== "number") {
          throw new Error(`a model named ${String(name)} with ${String(downloads)} downloads`);
        }
      }
    },
    show: (input) => `answer ${input.base} with ${JSON.stringify(input.edits)}`,
    close: async () => (await fixture)?.stop(),
  },
];
