import { readdirSync, readFileSync } from "node:fs";

interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

/** The machine's processes, from /proc. */
function processes(): ProcessInfo[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const status = readFileSync(`/proc/${name}/status`, "utf8");
        const parent = Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1] ?? 0);
        const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
        return [{ pid: Number(name), parent, command }];
      } catch {
        // It ended meanwhile.
        return [];
      }
    });
}

/** Process ids of the engines that descend from a VS Code server. */
export function enginePids(server: number): number[] {
  return pidsOf(server, /[\\/]engine\.js\s*$/);
}

/** Process ids of the extension hosts of a VS Code server. */
export function hostPids(server: number): number[] {
  return pidsOf(server, /--type=extensionHost/);
}

/** Process ids of the programs that have this text in their environment. */
export function pidsMarked(mark: string): number[] {
  return processes()
    .map(({ pid }) => pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "utf8").includes(mark);
      } catch {
        return false;
      }
    });
}

function pidsOf(server: number, program: RegExp): number[] {
  const all = processes();
  const parents = new Map(all.map(({ pid, parent }) => [pid, parent]));
  const descends = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at)) {
      if (at === server) return true;
    }
    return false;
  };
  return all
    .filter(({ pid, command }) => program.test(command) && descends(pid))
    .map(({ pid }) => pid);
}
