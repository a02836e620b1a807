// The echo server that bench/websocket.cpp compares with: npm's ws, as tests/websocket has it.
import { createRequire } from "node:module";

const require = createRequire(new URL("../tests/websocket/package.json", import.meta.url));
const { WebSocketServer } = require("ws");

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]) });
server.on("connection", (ws) => ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary })));
