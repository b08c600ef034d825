/** What the first line of a run file says of itself. */
export const RUN_FORMAT = "flowprobe-run";
export const RUN_FORMAT_VERSION = 1;
