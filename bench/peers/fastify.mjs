// fastify of npm: fastify.mjs PORT FILES.
import { createReadStream, statSync } from "node:fs";
import { join } from "node:path";
import Fastify from "fastify";

const [port, root] = process.argv.slice(2);
const app = Fastify({ logger: false, keepAliveTimeout: 600000 });
const type = "text/plain; charset=UTF-8";
app.addContentTypeParser("*", { parseAs: "buffer" }, (_, body, done) => done(null, body));
app.get("/", (_, reply) => reply.type(type).send("Hello, World!"));
app.get("/users/:id", (req, reply) => reply.type(type).send(req.params.id));
app.post("/echo", (req, reply) => reply.type(type).send(req.body));
app.get("/static/:name", (req, reply) => {
  const path = join(root, req.params.name);
  return reply.type(type).header("Content-Length", statSync(path).size).send(createReadStream(path));
});
await app.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
