/** What the first line of a run file says of itself. */
export const RUN_FORMAT = "flowprobe-run";
/** 2: attention rows are kept in 24 bits instead of 16. */
export const RUN_FORMAT_VERSION = 2;
