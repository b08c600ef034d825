/** The user's model folder cannot be used: what is wrong, where, and what to do is in the message. */
export class ModelError extends Error {
  override readonly name = "ModelError";
}
