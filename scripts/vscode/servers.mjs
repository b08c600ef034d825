/** VS Code servers from npm, each with its Node: the oldest that the extension supports, and today's. */
export const SERVERS = {
  oldest: { codeServer: "4.100.3", vscode: "1.100", node: 20 },
  newest: { codeServer: "4.139.1", vscode: "1.139", node: 24 },
};

/** Environment variable that chooses one of them. */
export const SERVER_VARIABLE = "FLOWPROBE_VSCODE";

/**
 * The server of this name, by default the one that the environment chooses, else today's.
 *
 * @param {string | undefined} name
 * @returns {typeof SERVERS.newest}
 * @throws Error when there is none of this name.
 */
export function chooseServer(name = process.env[SERVER_VARIABLE]) {
  if (name === undefined || name === "") return SERVERS.newest;
  if (Object.hasOwn(SERVERS, name)) return SERVERS[name];
  throw new Error(`there is no VS Code "${name}", only ${Object.keys(SERVERS).join(" and ")}`);
}
