import type { RunFacts } from "../../src/runs/comparison/facts.ts";
import { visibleToken } from "../dom.ts";

/** An option's label, or an answer in words, as it is shown: "(A) Up". */
export function optionText({ prompt }: RunFacts, label: string): string {
  const option = prompt.options.find((candidate) => candidate.label === label.trim());
  return option === undefined ? visibleToken(label) : `(${option.label}) ${option.text}`;
}
