import { formatBytes } from "../../common/format-size.ts";
import type { ListedModel } from "../models/catalog.ts";
import type { Models } from "../models/models.ts";
import { pick } from "../window.ts";

/** Asks which model analyses use from now on. */
export async function selectModel(models: Models): Promise<void> {
  const used = models.chosen().folder;
  const listed = (await models.list()).map((model) => ({
    label: model.name,
    ...(model.folder === used ? { icon: "check" } : {}),
    description: `${model.support.family} ${formatBytes(model.bytes)}`,
    detail: model.support.ok ? model.folder : `Not supported: ${model.support.why}`,
    model,
  }));
  const add = { label: "Add Model Folder…", icon: "add", model: undefined };
  const picked = await pick([...listed, add], {
    title: "Flowprobe: select a model",
    placeHolder: "Model that analyses use",
    matchAll: true,
  });
  if (picked === undefined) return;
  const model = picked.model ?? (await models.add());
  if (model !== undefined) await useModel(models, model);
}

/**
 * Makes a model the one in use.
 *
 * @throws Error with the reason when it is not supported.
 */
export async function useModel(models: Models, model: ListedModel): Promise<void> {
  if (!model.support.ok) throw new Error(model.support.why);
  await models.use(model);
}
