// Node's own http: node.mjs PORT FILES.
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

const [port, root] = process.argv.slice(2);
const some = (size) => Buffer.from(Array.from({ length: size }, (_, i) => 97 + ((i * i) % 26)));
const piece = some(4096);
const plain = Buffer.concat(Array(64).fill(piece));
const type = "text/plain; charset=UTF-8";

function text(res, body) {
  res.writeHead(200, { "Content-Type": type, "Content-Length": Buffer.byteLength(body) });
  res.end(body);
}

const server = createServer({ keepAliveTimeout: 600000, noDelay: true }, (req, res) => {
  const url = req.url;
  if (url === "/") return text(res, "Hello, World!");
  if (url.startsWith("/users/")) return text(res, url.slice(7));
  if (url === "/plain") return text(res, plain);
  if (url === "/echo") {
    const parts = [];
    req.on("data", (part) => parts.push(part));
    req.on("end", () => text(res, parts.length === 1 ? parts[0] : Buffer.concat(parts)));
    return;
  }
  if (url === "/stream") {
    res.writeHead(200, { "Content-Type": type });
    let i = 0;
    const more = () => {
      while (i++ < 64) if (!res.write(piece)) return res.once("drain", more);
      res.end();
    };
    return more();
  }
  if (url.startsWith("/static/") && !url.includes("..")) {
    const path = join(root, url.slice(8));
    res.writeHead(200, { "Content-Type": type, "Content-Length": statSync(path).size });
    createReadStream(path).pipe(res);
    return;
  }
  res.writeHead(404).end();
});
server.maxRequestsPerSocket = 0;
server.listen(Number(port), "127.0.0.1", 4096);
