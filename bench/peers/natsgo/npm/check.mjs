// Checks a server of core NATS with the npm package nats: see usage. A line for each case; exit code 0 when all have passed,
// 1 when one has failed, 2 when the command line is wrong.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { connect } from "nats";
import { cases } from "./cases.mjs";

const usage = `usage: node check.mjs [flags] HOST:PORT

  --user NAME --pass PASSWORD   the server asks for a user; a wrong password is tried, too
  --token TOKEN                 the server asks for a token; a wrong one is tried, too
  --ca FILE                     the server has TLS, with a certificate of this authority
  --cert FILE --key FILE        the client's certificate, and its key
  --tls-first                   TLS begins with the first byte
  --limited                     the user may neither publish to the subject denied nor subscribe to it
  --restart                     somebody reads the order "@restart" from standard output, carries it out on the server and answers
                                with a line; without it the case is left out
  --lame-duck                   the same for "@lame-duck"
  --only TEXT                   only cases with this in their name
`;

const caseLimit = 30_000; // milliseconds for one case

function parse() {
  const text = { type: "string" }, flag = { type: "boolean" };
  const options = {
    user: text, pass: text, token: text, ca: text, cert: text, key: text, "tls-first": flag, limited: flag, restart: flag, "lame-duck": flag, only: text, help: flag,
  };
  let parsed;
  try {
    parsed = parseArgs({ options, allowPositionals: true });
  } catch (err) {
    console.error(err.message);
  }
  if (parsed?.values.help) {
    process.stdout.write(usage);
    process.exit(0);
  }
  if (parsed?.positionals.length !== 1) {
    process.stderr.write(usage);
    process.exit(2);
  }
  return { server: parsed.positionals[0], ...parsed.values };
}

// Check is what a case gets: connections that are closed when it is over, and orders for the server.
class Check {
  #connections = [];
  #answers;

  constructor(flags) {
    this.flags = flags;
    if (flags.restart || flags["lame-duck"]) {
      this.#answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
    }
  }

  // options returns what connect needs; extra overrides it.
  options(extra = {}) {
    const { server, user, pass, token, ca, cert, key } = this.flags;
    const all = { servers: server, user, pass, token, timeout: 5_000, name: "check", ignoreClusterUpdates: true };
    if (ca) {
      all.tls = { ca: readFileSync(ca, "utf8"), handshakeFirst: this.flags["tls-first"] };
    }
    if (cert) {
      all.tls.cert = readFileSync(cert, "utf8");
      all.tls.key = readFileSync(key, "utf8");
    }
    return { ...all, ...extra };
  }

  async connect(extra) {
    const nc = await connect(this.options(extra));
    this.#connections.push(nc);
    return nc;
  }

  // order has the server treated and waits until it was.
  async order(what) {
    console.log("@" + what);
    const { done } = await this.#answers.next();
    if (done) {
      throw new Error(`nobody has carried out @${what}`);
    }
  }

  async closeConnections() {
    await Promise.all(this.#connections.splice(0).map((nc) => nc.close()));
  }
}

async function runCase(check, { run }) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${caseLimit} ms`)), caseLimit);
  });
  try {
    await Promise.race([run(check), limit]);
  } finally {
    clearTimeout(timer);
    await check.closeConnections();
  }
}

const flags = parse();
const check = new Check(flags);
let passed = 0, failed = 0, skipped = 0;
for (const c of cases) {
  if (flags.only && !c.name.includes(flags.only)) {
    continue;
  }
  const missing = (c.needs ?? []).filter((need) => !flags[need]);
  if (missing.length > 0) {
    skipped++;
    console.log(`skip  ${c.name}: needs --${missing.join(", --")}`);
    continue;
  }
  const start = performance.now();
  try {
    await runCase(check, c);
    passed++;
    console.log(`pass  ${c.name} (${(performance.now() - start).toFixed(0)} ms)`);
  } catch (err) {
    failed++;
    console.log(`FAIL  ${c.name}: ${err.stack ?? err}`);
  }
}
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
