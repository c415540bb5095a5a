// `node wasm-opt.cjs OPTION… -- IN OUT [IN OUT]…`: runs wasm-opt on several modules in one process. wasm-opt from the npm registry is a
// script with a wasm module inside; V8 compiles that module, and optimises it, once for all runs of a process.

const fs = require("node:fs");
const vm = require("node:vm");
const { createRequire } = require("node:module");

const filename = require.resolve("binaryen/bin/wasm-opt");
const dirname = require("node:path").dirname(filename);
const source = fs.readFileSync(filename, "utf8").replace(/^#!.*/, "");
const start = vm.runInThisContext(`(function (Module, module, require, __filename, __dirname) {${source}\n})`, { filename });

/** Runs wasm-opt once; fails if it does. */
async function run(args) {
  await new Promise((resolve) => {
    start({ arguments: [...args], postRun: resolve }, {}, createRequire(filename), filename, dirname);
  });
  if (process.exitCode) throw new Error(`wasm-opt ${args.join(" ")}: exit code ${process.exitCode}`);
}

async function main() {
  const separator = process.argv.indexOf("--");
  const options = process.argv.slice(2, separator);
  const modules = process.argv.slice(separator + 1);
  for (let at = 0; at < modules.length; at += 2) {
    const [input, output] = modules.slice(at, at + 2);
    const unfinished = `${output}.${process.pid}`;
    await run([...options, input, "-o", unfinished]);
    fs.renameSync(unfinished, output);
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
