// Unpacks the browser that the package brings into node_modules/.browser: the program, its libraries and a font.
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, chmod } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";
import { extract } from "tar-fs";

const from = new URL("node_modules/@sparticuz/chromium/bin/", import.meta.url);
const to = new URL("node_modules/.browser/", import.meta.url);
await mkdir(to, { recursive: true });
const unpacked = (name, into) => pipeline(createReadStream(new URL(name, from)), createBrotliDecompress(), into);
const program = new URL("chromium", to);
await Promise.all([
  unpacked("chromium.br", createWriteStream(program)),
  unpacked("al2023.tar.br", extract(new URL("libraries", to).pathname)),
  unpacked("fonts.tar.br", extract(new URL("fonts", to).pathname)),
]);
await chmod(program, 0o755);
