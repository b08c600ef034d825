import type { HandlersOf, ReplyMessage, RequestMap, RequestOf } from "../../protocol/panel.ts";

/**
 * Runs the handler of a request and returns the message to send back. Never rejects: a handler's
 * error, or an unknown request, becomes an error reply, so that the webview is not left waiting.
 */
export async function answerRequest<R extends RequestMap<R>>(
  message: RequestOf<R>,
  handlers: HandlersOf<R>,
): Promise<ReplyMessage> {
  try {
    if (!Object.hasOwn(handlers, message.name)) {
      throw new Error(`the panel asked for "${String(message.name)}", which is not known here`);
    }
    const handler = handlers[message.name] as (params: unknown) => unknown;
    return { kind: "reply", id: message.id, result: await handler(message.params) };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { kind: "error", id: message.id, message: text };
  }
}
