// A localizer in a WebAssembly module, for browsers and Node.js.

export class Localizer {
  #module;

  /** `module`: the bytes of loc_wasm.wasm; `model`: those of a model file. Throws an error if the model is invalid. */
  static async load(module, model) {
    const localizer = new Localizer();
    localizer.#module = (await WebAssembly.instantiate(module)).instance.exports;
    localizer.classes = localizer.#call("load", model).classes;
    return localizer;
  }

  /** `photo`: the bytes of a JPEG, PNG or BMP file. Returns an object like a line of `loc predict --format jsonl`. */
  predict(photo) {
    return this.#call("predict", photo);
  }

  #call(name, file) {
    const module = this.#module;
    const bytes = new Uint8Array(file);
    const input = module.input(bytes.length);
    // `memory.buffer` is another object after each growth of the memory.
    new Uint8Array(module.memory.buffer, input, bytes.length).set(bytes);
    const length = module[name]();
    const json = new Uint8Array(module.memory.buffer, module.output(), length);
    const result = JSON.parse(new TextDecoder().decode(json));
    if (result.error !== undefined) throw new Error(result.error);
    return result;
  }
}
