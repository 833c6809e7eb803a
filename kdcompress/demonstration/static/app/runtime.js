// onnxruntime-web, of the one version whose hashes are known: the browser refuses other bytes.

import { bytesOf } from "./models.js";

/** Load the runtime: the module first, through a link that has its hash, then the WebAssembly binary. */
export async function loadRuntime({ module, binary, version }) {
  await preload(module, version);
  const ort = await import(new URL(module.url, document.baseURI).href);
  ort.env.wasm.numThreads = 1; // more would need a server that isolates the page from other origins
  ort.env.wasm.proxy = false;
  ort.env.logLevel = "error";
  ort.env.wasm.wasmBinary = await bytesOf(binary.url, { integrity: binary.integrity, mode: "cors" });
  return ort;
}

/** Fetch the module with its hash, so that its import finds these very bytes. */
function preload({ url, integrity }, version) {
  const link = document.createElement("link");
  if (!link.relList.supports("modulepreload"))
    throw new Error("this browser is too old to check the program that runs the models; take one of 2023 or later");
  Object.assign(link, { rel: "modulepreload", integrity, crossOrigin: "anonymous" });
  return new Promise((resolve, reject) => {
    link.onload = resolve;
    link.onerror = () => reject(new Error(`${url} cannot be loaded, or is not that of onnxruntime-web ${version}`));
    link.href = url;
    document.head.append(link);
  });
}
