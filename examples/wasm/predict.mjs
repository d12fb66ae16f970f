// node predict.mjs loc_wasm.wasm model.safetensors photo.jpg...: prints a line of JSON per photo, with the median time in ms.
import { readFile } from "node:fs/promises";
import { Localizer } from "./loc.mjs";

const RUNS = 31;

const [module, model, ...photos] = process.argv.slice(2);
const localizer = await Localizer.load(await readFile(module), await readFile(model));
for (const path of photos) {
  const photo = await readFile(path);
  const times = [];
  let result;
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    result = localizer.predict(photo);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  console.log(JSON.stringify({ path, ...result, ms: times[RUNS >> 1] }));
}
