import { isNative, type ModelSpec } from "../families/shared/spec.ts";
import { connectorGraph } from "./connector.ts";
import { mergerGraph, nativeLayerGraph, nativePatchGraph } from "./native-vision.ts";
import { type Products, WHOLE } from "./onnx.ts";
import { patchGraph, visionLayerGraph } from "./vision.ts";

/** The graphs that make video tokens of prepared frames, in the order in which they run. */
export interface TowerGraphs {
  readonly patches: Uint8Array;
  readonly layers: readonly Uint8Array[];
  /** Patch features to tokens of the decoder's width. */
  readonly connector: Uint8Array;
}

/** All graphs of a model's vision tower and connector, as ONNX files' bytes. */
export function towerGraphs(spec: ModelSpec, products: Products = WHOLE): TowerGraphs {
  if (isNative(spec)) {
    return {
      patches: nativePatchGraph(spec),
      layers: spec.vision.layers.map((layer) => nativeLayerGraph(spec, layer, products)),
      connector: mergerGraph(spec, products),
    };
  }
  return {
    patches: patchGraph(spec),
    layers: spec.vision.layers.map((layer) => visionLayerGraph(spec, layer, products)),
    connector: connectorGraph(spec, products),
  };
}
