import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { InputError, ModelError } from "../../src/common/errors.ts";
import { Graph } from "../../src/engine/graph/onnx.ts";
import { runFailure, runtimeReason } from "../../src/engine/runtime/failure.ts";
import { chooseProvider } from "../../src/engine/runtime/provider.ts";
import { floats, Session } from "../../src/engine/runtime/session.ts";

const OPTIONS = { provider: "cpu", threads: 1, keepWidened: false } as const;
/** What the runtime's own source looks like in a message. */
const INTERNAL = /::|\.cc|\.h:|\bonnxruntime_src\b|ONNXRuntimeError|was false/;

const SAID = [
  [
    "/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::WebGpuContextConfig&)::<lambda()> adapter_result.status == wgpu::RequestAdapterStatus::Success was false. Failed to get a WebGPU adapter: No supported adapters\n",
    "Failed to get a WebGPU adapter: No supported adapters",
  ],
  [
    "Non-zero status code returned while running Reshape node. Name:'Reshape_2' Status Message: /onnxruntime_src/onnxruntime/core/providers/cpu/tensor/reshape_helper.h:84 onnxruntime::ReshapeHelper::ReshapeHelper(const onnxruntime::TensorShape&, onnxruntime::TensorShapeVector&, bool) size != 0 && (input_shape_size % size) == 0 was false. The input tensor cannot be reshaped to the requested shape. Input shape:{2,3}, requested shape:{7,-1}\n",
    "The input tensor cannot be reshaped to the requested shape. Input shape:{2,3}, requested shape:{7,-1}",
  ],
  [
    "Exception during initialization: /onnxruntime_src/onnxruntime/core/optimizer/initializer.cc:51 onnxruntime::Initializer::Initializer(const onnx::TensorProto&, const std::filesystem::__cxx11::path&) [ONNXRuntimeError] : 1 : FAIL : tensorprotoutils.cc:1763 GetExtDataFromTensorProto External initializer: w_1 offset: 96 size to read: 16 given file_length: 100 are out of bounds or can not be read in full.\n",
    "External initializer: w_1 offset: 96 size to read: 16 given file_length: 100 are out of bounds or can not be read in full",
  ],
  [
    "Non-zero status code returned while running MatMul node. Name:'MatMul_3' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*, bool, onnxruntime::WaitNotificationFn) Failed to allocate memory for requested buffer of size 1073741824\n",
    "out of memory",
  ],
  [
    "/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:129 std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, const char*, int) [with ERRTYPE = cudaError; bool THRW = true; SUCCTYPE = cudaError; std::conditional_t<THRW, void, common::Status> = void] CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=box ; file=/onnxruntime_src/x.cc ; line=1 ; expr=cudaEventDestroy(e); ",
    "CUDA failure 700: an illegal memory access was encountered",
  ],
  ["OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library", undefined],
  ["Status Message: std::bad_alloc", "out of memory"],
  ["", "ONNX Runtime gives no reason"],
] as const;

test("a reason holds nothing of the runtime's own source", () => {
  for (const [message, expected] of SAID) {
    const reason = runtimeReason(new Error(message));
    assert.equal(reason, expected ?? message);
    assert.doesNotMatch(reason, INTERNAL);
  }
});

test("a reason is short, however long the message", () => {
  assert.ok(runtimeReason(new Error("x".repeat(10_000))).length < 250);
});

test("memory that ran out and a provider that failed say what to do", () => {
  const memory = runFailure(new Error("Status Message: std::bad_alloc"), "cpu");
  assert.ok(memory instanceof InputError);
  assert.match(memory.message, /memory ran out; set a smaller memory budget/);
  const device = runFailure(new Error("CUDA failure 700: illegal"), "cuda");
  assert.ok(device instanceof InputError);
  assert.match(
    device.message,
    /provider "cuda" failed \(CUDA failure 700: illegal\); choose .*"cpu"/,
  );
});

test("weights that are gone, and graphs that fail, are told without internals", async () => {
  const folder = mkdtempSync(join(tmpdir(), "flowprobe-failure-"));
  const file = join(folder, "weights");
  writeFileSync(file, Buffer.alloc(100));
  const graphOf = (length: number, path: string) => {
    const g = new Graph(folder);
    const x = g.input("x", ["n", "m"]);
    const tensor = { name: "w", dtype: "F32", shape: [length / 4], offset: 0, length, file: path };
    g.output("y", g.op("Reshape", [g.op("Add", [x, g.weight(tensor)]), g.ints([7, -1])]), [
      "a",
      "b",
    ]);
    return g.encode();
  };
  const rejects = (work: Promise<unknown>, pattern: RegExp) =>
    assert.rejects(work, (error) => {
      assert.ok(error instanceof Error);
      assert.match(error.message, pattern);
      assert.doesNotMatch(error.message, INTERNAL);
      return true;
    });
  const refused = Session.open(graphOf(160, file), folder, OPTIONS);
  await assert.rejects(refused, ModelError);
  await rejects(refused, /a graph cannot be opened \(.*out of bounds/);
  await rejects(
    Session.open(graphOf(40, join(folder, "gone")), folder, OPTIONS),
    /a graph cannot be opened \(External data path does not exist/,
  );
  const session = await Session.open(graphOf(40, file), folder, OPTIONS);
  await rejects(
    session.run({ x: floats(new Float32Array(10), [1, 10]) }),
    /^ONNX Runtime failed: The input tensor cannot be reshaped/,
  );
  await session.release();
  rmSync(folder, { recursive: true });
});

test("a provider that cannot be used is told without internals", async () => {
  for (const asked of ["webgpu", "cuda", "dml", "coreml"] as const) {
    const { note } = await chooseProvider(asked);
    assert.doesNotMatch(note ?? "", INTERNAL);
  }
});
