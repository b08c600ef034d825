import type { ProgressEvent } from "../protocol/events.ts";

const PHASES: Readonly<Record<ProgressEvent["phase"], string>> = {
  open: "opening the model",
  video: "decoding the clip",
  vision: "encoding the frames",
  decoder: "running the decoder",
  experiment: "running the branches",
  generation: "generating",
};

/** A progress event as one short line. */
export function progressLine({ phase, done, total, secondsLeft, cached }: ProgressEvent): string {
  if (cached === true) return `${PHASES[phase]}: known from an earlier run`;
  const share = total > 0 ? Math.floor((100 * done) / total) : 0;
  const left =
    secondsLeft === undefined || secondsLeft < 2 ? "" : `, about ${duration(secondsLeft)} left`;
  return `${PHASES[phase]}: ${share} %${left}`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
