// Places the nodes and edges of graphs: ELK's JSON on standard input, the same with coordinates on standard output.
// https://eclipse.dev/elk/documentation/tooldevelopers/graphdatastructure/jsonformat.html
"use strict";

const ELK = require("elkjs/lib/elk.bundled.js");

async function main() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const elk = new ELK();
  const placed = [];
  for (const graph of JSON.parse(Buffer.concat(chunks).toString("utf8"))) placed.push(await elk.layout(graph));
  process.stdout.write(JSON.stringify(placed));
}

main().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
