// Hostile clients: node hostile.mjs ATTACK PORT [COUNT]. Go on until the process is killed, which closes all they
// have. Whoever has forked it may ask by a message what has become of them.
import net from "node:net";

const [attack, port, count] = process.argv.slice(2);
const seen = { opened: 0, answered: 0, refused: 0, failed: 0 };

/// Keeps `count` connections from one address: when one has ended, another takes its place soon.
function keep(count, use, { reads = true, source = "127.0.0.1" } = {}) {
  const open = () => {
    const socket = net.connect({
      host: "127.0.0.1", port: Number(port), localAddress: source, allowHalfOpen: true,
    });
    socket.on("connect", () => {
      ++seen.opened;
      use(socket);
    });
    if (reads) {
      let first = true;
      socket.on("data", (data) => {
        if (first) ++seen[data.subarray(9, 12).toString() === "503" ? "refused" : "answered"];
        first = false;
      });
      socket.on("end", () => socket.end());
    }
    socket.on("error", () => ++seen.failed);
    socket.on("close", () => setTimeout(open, 10 + Math.random() * 40));
  };
  // Not all in one turn of this process, which would not attack meanwhile.
  let opened = 0;
  const more = () => {
    for (let i = 0; i < 200 && opened < count; ++i, ++opened) open();
    if (opened < count) setImmediate(more);
  };
  more();
}

/// One that does not read does not learn of its end: it leaves after a while, so that another comes.
const leave = (socket) => setTimeout(() => socket.destroy(), 2000 + Math.random() * 3000);

/// Writes `make()` again and again, as fast as the other side takes it.
function pour(socket, make) {
  const more = () => {
    while (!socket.destroyed && socket.writable && socket.write(make()));
  };
  socket.on("drain", more);
  more();
}

/// Writes `text` byte by byte, and then `more` for ever.
function dribble(socket, text, more) {
  let at = 0;
  const timer = setInterval(() => socket.write(at < text.length ? text[at++] : more), 50);
  socket.on("close", () => clearInterval(timer));
}

const get = (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const post = (path, field) => `POST ${path} HTTP/1.1\r\nHost: a\r\n${field}\r\n\r\n`;
const pick = (list) => list[seen.opened % list.length];

const attacks = {
  // As many as there are, ten times over: each asks once and stays.
  flood: () => keep(Number(count ?? 10_240), (socket) => socket.write(get("/"))),

  // The same from so many addresses that none has more than its share.
  crowd: () => {
    for (let i = 1; i <= 250; ++i) keep(40, (socket) => socket.write(get("/")), { source: `127.0.2.${i}` });
  },

  // From two addresses: says nothing, and leaves before it becomes old.
  restless: () => {
    for (const source of ["127.0.2.1", "127.0.2.2"])
      keep(600, (socket) => setTimeout(() => socket.destroy(), 1500), { source });
  },

  // Asks for the last time and never reads: what the server has written waits in the system.
  unclosed: () => keep(1000, (socket) => {
    socket.write("GET /owned HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    leave(socket);
  }, { reads: false }),

  unread: () => keep(1000, (socket) => {
    socket.write(pick([get("/owned").repeat(100), get("/file").repeat(200), get("/endless")]));
    leave(socket);
  }, { reads: false }),

  silent: () => keep(2000, () => {}),

  halfclose: () => keep(500, (socket) => socket.end(pick([get("/file"), get("/owned"), "GET / HT", ""]))),

  reset: () => keep(200, (socket) => {
    socket.write(get(pick(["/owned", "/file", "/endless"])));
    socket.once("data", () => socket.resetAndDestroy());
  }),

  dribble: () => keep(1000, (socket) => {
    if (seen.opened % 3 === 0) return dribble(socket, "GET / HTTP/1.1\r\nHost: a\r\nX-Long: ", "x");
    dribble(socket, post(pick(["/echo", "/stream"]), "Content-Length: 16000"), "x");
  }),

  // The same from two addresses: no client alone has all it needs.
  pair: () => {
    for (const source of ["127.0.2.1", "127.0.2.2"])
      keep(500, (socket) => dribble(socket, "GET / HTTP/1.1\r\nHost: a\r\nX-Long: ", "x"), { source });
  },

  // From two addresses: what needs no exchange any more needs a connection still.
  hoard: () => {
    for (const source of ["127.0.2.1", "127.0.2.2"])
      keep(600, (socket) => socket.write(get("/large")), { source, reads: false });
  },

  heads: () => {
    const fields = Array.from({ length: 100 }, (_, i) => `X-Field-${i}: ${"v".repeat(50)}\r\n`).join("");
    keep(200, (socket) => {
      socket.write("GET / HTTP/1.1\r\nHost: a\r\n");
      pour(socket, () => pick([fields, "x".repeat(8192)]));
    });
  },

  chunks: () => {
    const small = "1\r\nx\r\n".repeat(1000), large = `1000\r\n${"x".repeat(4096)}\r\n`;
    keep(200, (socket) => {
      socket.write(post(pick(["/echo", "/stream"]), "Transfer-Encoding: chunked"));
      const chunk = pick([small, large, `1;${"e".repeat(4000)}\r\nx\r\n`]);
      pour(socket, () => chunk);
    });
  },

  // 10 000 connections that have asked once and are kept, from four addresses.
  idle: () => {
    for (let i = 0; i < 4; ++i)
      keep(Number(count) / 4, (socket) => socket.write(get("/")), { source: `127.0.1.${i + 1}` });
  },
};

attacks[attack]();
process.on("message", () => process.send(seen));
process.on("disconnect", () => process.exit());
