/**
 * FFmpeg's WebAssembly module, and instances of it; the only file that touches their memory. Each
 * opened file has an instance of its own: what one file does to the decoder reaches no other, and
 * dropping the instance gives everything back.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { InputError } from "../common/errors.ts";
import { unreadable } from "./file-errors.ts";

/** What `vendor/ffmpeg/glue.c` exports; arguments and results are addresses, counts or doubles. */
type Call =
  | "_initialize"
  | "malloc"
  | "free"
  | "fp_out_of_memory"
  | "fp_open"
  | "fp_facts"
  | "fp_stream"
  | "fp_codec"
  | "fp_demuxer"
  | "fp_brand"
  | "fp_stream_matrix"
  | "fp_next_packet"
  | "fp_seek"
  | "fp_decoder"
  | "fp_send"
  | "fp_undecodable"
  | "fp_receive"
  | "fp_frame_matrix"
  | "fp_rgb";

type Exports = Readonly<Record<Call, (...args: readonly number[]) => number>>;

/** The part of WebAssembly's interface in use here: Node's types leave it to those of browsers. */
interface Wasm {
  compile(bytes: Uint8Array): Promise<WasmModule>;
  instantiate(module: WasmModule, imports: object): Promise<{ readonly exports: unknown }>;
  readonly Memory: new (pages: { initial: number; maximum: number }) => WasmMemory;
}
type WasmModule = { readonly compiled: unique symbol };
/** `buffer` is another one after the memory has grown. */
interface WasmMemory {
  readonly buffer: ArrayBuffer;
}
const wasm = (globalThis as unknown as { readonly WebAssembly: Wasm }).WebAssembly;

const MODULE = join("vendor", "ffmpeg", "ffmpeg.wasm");
const PAGE_BYTES = 65536;
/** Both as the module was linked (`vendor/ffmpeg/build.sh`). */
const INITIAL_BYTES = 16 << 20;
const LARGEST_BYTES = 2 ** 31;
/** A single call reads the file no longer than this: a loop in a hostile file must end. */
const LONGEST_CALL_MS = 60_000;

let compiling: Promise<WasmModule> | undefined;

/**
 * Compiles the decoder, once a process. Whoever will need it soon may call this and go on: the work
 * is done beside, and what goes wrong is said when a file is opened.
 */
export function prepareDecoder(): void {
  compiled().catch(() => {});
}

function compiled(): Promise<WasmModule> {
  compiling ??= compile().catch((error: unknown) => {
    compiling = undefined;
    throw error instanceof InputError
      ? error
      : new InputError(`video cannot be decoded: ffmpeg.wasm: ${(error as Error).message}`);
  });
  return compiling;
}

/**
 * Work of a function, in V8's measure, after which it is compiled once more for speed. As V8 has it, a
 * short clip's decoding costs more in compiling than it saves; this is some seconds of decoding.
 */
const TIERING_BUDGET = 2_000_000_000;

async function compile(): Promise<WasmModule> {
  setFlagsFromString(`--wasm-tiering-budget=${TIERING_BUDGET}`);
  return wasm.compile(await readFile(moduleFile(dirname(fileURLToPath(import.meta.url)))));
}

/** The module in the nearest folder that has it: the checkout's, or the installed extension's. */
function moduleFile(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    const file = join(folder, MODULE);
    if (existsSync(file)) return file;
    if (dirname(folder) === folder) {
      throw new InputError(
        `video cannot be decoded: ${MODULE} is missing; install Flowprobe again`,
      );
    }
  }
}

/** The bytes of a file. */
export interface ByteSource {
  readonly size: number;
  /** Fills in bytes from a position on and says how many; 0 at the end. May throw. */
  read(into: Uint8Array, position: number): number;
}

/** One instance of the decoder, at work on one file. */
export class DecoderInstance {
  readonly #path: string;
  readonly #memory: WasmMemory;
  readonly #limitBytes: number;
  #exports: Exports | null = null;
  #readError: unknown;
  #callBegan = 0;

  private constructor(path: string, limitBytes: number) {
    this.#path = path;
    this.#limitBytes = limitBytes;
    try {
      const [initial, maximum] = [INITIAL_BYTES / PAGE_BYTES, Math.floor(limitBytes / PAGE_BYTES)];
      this.#memory = new wasm.Memory({ initial, maximum });
    } catch {
      throw new InputError(`${path}: there is not enough memory to open it`);
    }
  }

  /**
   * @param path named in errors
   * @param limitBytes memory the instance may take, 16 MiB to 2 GiB
   * @throws InputError where there is no decoder to load, or no memory for it
   */
  static async create(
    path: string,
    source: ByteSource,
    limitBytes = LARGEST_BYTES,
  ): Promise<DecoderInstance> {
    const module = await compiled();
    const instance = new DecoderInstance(path, limitBytes);
    const read = (position: number, to: number, length: number): number => {
      try {
        if (performance.now() - instance.#callBegan > LONGEST_CALL_MS) {
          throw new InputError(
            `${path}: damaged: a part of it keeps the decoder busy for more than ${LONGEST_CALL_MS / 1000} s`,
          );
        }
        return source.read(new Uint8Array(instance.#memory.buffer, to, length), position);
      } catch (error) {
        instance.#readError = error;
        return -1;
      }
    };
    const env = { memory: instance.#memory, emscripten_notify_memory_growth: () => {} };
    const imports = { host: { read }, env, wasi_snapshot_preview1: SYSTEM };
    instance.#exports = (await wasm.instantiate(module, imports)).exports as Exports;
    instance.call("_initialize");
    return instance;
  }

  /**
   * Calls into the decoder.
   *
   * @throws InputError when the file cannot be read any further, needs more memory than there is, or
   *   made the decoder fail; the instance cannot be used from then on
   */
  call(name: Call, ...args: readonly number[]): number {
    const exports = this.#alive();
    this.#callBegan = performance.now();
    let result: number;
    let full: boolean;
    try {
      result = exports[name](...args);
      full = exports.fp_out_of_memory() !== 0;
    } catch (error) {
      this.drop();
      const why = (error as Error).message;
      throw new InputError(`${this.#path}: damaged: the video decoder failed on it (${why})`);
    }
    if (this.#readError !== undefined) {
      this.drop();
      const error = this.#readError;
      throw error instanceof InputError ? error : unreadable(this.#path, error);
    }
    if (full) {
      this.drop();
      const limit = `${Math.round(this.#limitBytes / 2 ** 20)} MiB`;
      throw new InputError(
        `${this.#path}: decoding it needs more than ${limit} of memory; make its picture smaller`,
      );
    }
    return result;
  }

  /** Ends the use of the instance: its memory is given back with it. */
  drop(): void {
    this.#exports = null;
  }

  /** A copy of `length` bytes at an address. */
  bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, address, length).slice();
  }

  /** `count` doubles at an address. */
  doubles(address: number, count: number): Float64Array {
    return new Float64Array(this.#memory.buffer, address, count).slice();
  }

  /** The text that ends with a zero byte at an address; null at address 0. */
  text(address: number): string | null {
    if (address === 0) return null;
    const rest = new Uint8Array(this.#memory.buffer, address);
    return Buffer.from(rest.subarray(0, rest.indexOf(0))).toString("utf8");
  }

  /** Copies a text into the decoder's memory, with a zero byte at its end; the caller frees it. */
  place(text: string): number {
    const data = Buffer.from(`${text}\0`);
    const address = this.call("malloc", data.length);
    new Uint8Array(this.#memory.buffer, address, data.length).set(data);
    return address;
  }

  #alive(): Exports {
    if (this.#exports === null) throw new InputError(`${this.#path}: closed, or not decodable`);
    return this.#exports;
  }
}

/** WASI's "function not supported": the decoder has no files, no clock and no environment. */
const NOT_SUPPORTED = 52;
const refuse = () => NOT_SUPPORTED;
const SYSTEM = {
  clock_time_get: refuse,
  environ_get: refuse,
  environ_sizes_get: refuse,
  fd_close: refuse,
  fd_fdstat_get: refuse,
  fd_read: refuse,
  fd_seek: refuse,
  fd_write: refuse,
  proc_exit: (code: number) => {
    throw new Error(`it ended with ${code}`);
  },
};
