// The cases of check.mjs. Each uses subjects of its own.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { connect, createInbox, Empty, ErrorCode, Events, headers, RequestStrategy, StringCodec } from "nats";

const text = StringCodec();

export const cases = [];

// add adds a case; needs are flags without which it is left out.
function add(name, run, needs) {
  cases.push({ name, run, needs });
}

// collect gathers what a subscription gets, until it ends.
function collect(nc, subject, options) {
  const sub = nc.subscribe(subject, options);
  const messages = [];
  const ended = (async () => {
    for await (const m of sub) {
      messages.push(m);
    }
  })();
  ended.catch(() => {}); // a case that cares waits for it
  return { sub, messages, ended };
}

// until waits for a condition.
async function until(what, condition, limit = 5_000) {
  const end = performance.now() + limit;
  while (!condition()) {
    assert.ok(performance.now() < end, `${what}: not within ${limit} ms`);
    await pause(5);
  }
}

// statuses gathers the status events of a connection.
function statuses(nc) {
  const seen = [];
  (async () => {
    for await (const s of nc.status()) {
      seen.push(s);
    }
  })();
  return { seen, types: () => seen.map((s) => s.type), of: (type) => seen.find((s) => s.type === type) };
}

const strings = (messages) => messages.map((m) => text.decode(m.data));
const subjects = (messages) => messages.map((m) => m.subject);

add("connect: what the server says of itself", async (c) => {
  const nc = await c.connect();
  const { info } = nc;
  assert.match(info.server_id, /^\S+$/);
  assert.match(info.version, /^\d+\.\d+\.\d+/);
  assert.equal(info.headers, true);
  assert.equal(info.proto, 1);
  assert.ok(info.max_payload > 0, `max_payload ${info.max_payload}`);
  assert.ok(info.client_id > 0, `client_id ${info.client_id}`);
  const other = await c.connect();
  assert.notEqual(other.info.client_id, info.client_id);
  assert.equal(other.info.server_id, info.server_id);
});

add("connect: a wrong password", async (c) => {
  await assert.rejects(c.connect({ pass: "wrong" }), { code: ErrorCode.AuthorizationViolation });
  await assert.rejects(c.connect({ user: undefined, pass: undefined }), { code: ErrorCode.AuthorizationViolation });
}, ["user"]);

add("connect: a wrong token", async (c) => {
  await assert.rejects(c.connect({ token: "wrong" }), { code: ErrorCode.AuthorizationViolation });
  await assert.rejects(c.connect({ token: undefined }), { code: ErrorCode.AuthorizationViolation });
}, ["token"]);

add("connect: TLS", async (c) => {
  const nc = await c.connect(), { tls } = c.options();
  assert.ok(nc.info.tls_required, "tls_required");
  await assert.rejects(connect({ ...c.options(), tls: { handshakeFirst: tls.handshakeFirst }, reconnect: false })); // the authority is not known
}, ["ca"]);

add("connect: TLS asks for the client's certificate", async (c) => {
  const { tls } = c.options();
  await assert.rejects(connect({ ...c.options(), tls: { ca: tls.ca, handshakeFirst: tls.handshakeFirst }, reconnect: false }));
}, ["ca", "cert"]);

add("publish and subscribe", async (c) => {
  const nc = await c.connect(), other = await c.connect();
  const { messages } = collect(nc, "pubsub.a");
  await nc.flush();
  const every = Uint8Array.from({ length: 256 }, (_, i) => i);
  other.publish("pubsub.a", every);
  other.publish("pubsub.a");
  other.publish("pubsub.b", "not for us");
  other.publish("pubsub.a", "\r\nPUB x 0\r\n", { reply: "pubsub.reply" });
  await until("three messages", () => messages.length >= 3);
  await nc.flush();
  assert.equal(messages.length, 3);
  assert.ok(every.every((b, i) => messages[0].data[i] === b) && messages[0].data.length === every.length, "each byte");
  assert.equal(messages[1].data.length, 0);
  assert.equal(messages[1].reply, "");
  assert.equal(text.decode(messages[2].data), "\r\nPUB x 0\r\n");
  assert.equal(messages[2].reply, "pubsub.reply");
});

add("publish: 10000 messages in order", async (c) => {
  const nc = await c.connect(), other = await c.connect();
  const { messages } = collect(nc, "order.>");
  await nc.flush();
  for (let i = 0; i < 10_000; i++) {
    other.publish(`order.${i % 7}`, String(i));
  }
  await other.flush();
  await until("all messages", () => messages.length >= 10_000);
  assert.deepEqual(strings(messages), Array.from({ length: 10_000 }, (_, i) => String(i)));
});

add("publish: the longest payload", async (c) => {
  const nc = await c.connect();
  const { messages } = collect(nc, "longest");
  const payload = new Uint8Array(nc.info.max_payload).fill(0x5a);
  nc.publish("longest", payload);
  await until("the message", () => messages.length === 1);
  assert.equal(Buffer.compare(messages[0].data, payload), 0);
  assert.throws(() => nc.publish("longest", new Uint8Array(nc.info.max_payload + 1)), { code: ErrorCode.MaxPayloadExceeded });
});

add("wildcards", async (c) => {
  const nc = await c.connect();
  const got = {};
  for (const pattern of ["wild.*", "wild.*.c", "wild.>", "wild.b.c", "*.b.c", "wild.*.*"]) {
    got[pattern] = collect(nc, pattern).messages;
  }
  for (const subject of ["wild", "wild.b", "wild.b.c", "wild.x.c", "wild.b.c.d", "other.b.c"]) {
    nc.publish(subject);
  }
  await nc.flush();
  await until("the messages", () => Object.values(got).reduce((n, messages) => n + messages.length, 0) >= 12);
  assert.deepEqual(subjects(got["wild.*"]), ["wild.b"]);
  assert.deepEqual(subjects(got["wild.*.c"]), ["wild.b.c", "wild.x.c"]);
  assert.deepEqual(subjects(got["wild.>"]), ["wild.b", "wild.b.c", "wild.x.c", "wild.b.c.d"]);
  assert.deepEqual(subjects(got["wild.b.c"]), ["wild.b.c"]);
  assert.deepEqual(subjects(got["*.b.c"]), ["wild.b.c", "other.b.c"]);
  assert.deepEqual(subjects(got["wild.*.*"]), ["wild.b.c", "wild.x.c"]);
});

add("wildcards: a published one is literal", async (c) => {
  const nc = await c.connect();
  const plain = collect(nc, "literal.b").messages, star = collect(nc, "literal.*").messages, rest = collect(nc, "literal.>").messages;
  nc.publish("literal.*");
  nc.publish("literal.>");
  nc.publish("literal.b*");
  await nc.flush();
  await until("the messages", () => rest.length === 3 && star.length === 3);
  assert.deepEqual(subjects(star), ["literal.*", "literal.>", "literal.b*"]);
  assert.deepEqual(subjects(plain), []);
});

add("subjects: characters that are special elsewhere", async (c) => {
  const nc = await c.connect();
  const all = [
    "odd.a/b", "odd./", "odd.%2F", "odd.%", "odd.$SYS", "odd.a*b", "odd.a>b", "odd.\u0001", "odd.ünï.日本", "odd." + "x".repeat(300),
    "odd" + ".y".repeat(60), "odd" + ".z".repeat(600),
  ];
  const each = all.map((subject) => collect(nc, subject).messages);
  const rest = collect(nc, "odd.>").messages;
  for (const subject of all) {
    nc.publish(subject, subject);
  }
  await nc.flush();
  await until("the messages", () => rest.length === all.length && each.every((messages) => messages.length > 0));
  assert.deepEqual(subjects(rest), all);
  all.forEach((subject, i) => assert.deepEqual(strings(each[i]), [subject]));
});

add("queue groups", async (c) => {
  const publisher = await c.connect();
  const groups = { a: [], b: [] };
  for (const group of ["a", "a", "a", "b", "b"]) {
    const nc = await c.connect();
    groups[group].push(collect(nc, "queue.*", { queue: group }).messages);
    await nc.flush();
  }
  const plain = collect(publisher, "queue.>").messages;
  for (let i = 0; i < 300; i++) {
    publisher.publish(`queue.${i % 3}`, String(i));
  }
  await publisher.flush();
  const total = (members) => members.reduce((n, messages) => n + messages.length, 0);
  await until("the messages", () => total(groups.a) >= 300 && total(groups.b) >= 300 && plain.length >= 300);
  for (const members of Object.values(groups)) {
    assert.equal(new Set(members.flatMap(strings)).size, 300);
    assert.equal(total(members), 300);
    members.forEach((messages, i) => assert.ok(messages.length > 10, `member ${i} got ${messages.length} of 300`));
  }
  assert.equal(plain.length, 300);
});

add("headers", async (c) => {
  const nc = await c.connect(), other = await c.connect();
  const { messages } = collect(nc, "headers.a");
  await nc.flush();
  const h = headers();
  h.append("Name", "one");
  h.append("Name", "two");
  h.append("name", "another");
  h.set("Empty", "");
  h.set("Colon", "a:b: c");
  other.publish("headers.a", "with", { headers: h });
  other.publish("headers.a", "without");
  other.publish("headers.a", Empty, { headers: h, reply: "headers.reply" });
  await until("the messages", () => messages.length === 3);
  assert.deepEqual(strings(messages), ["with", "without", ""]);
  assert.deepEqual(messages[0].headers.values("Name"), ["one", "two"]);
  assert.deepEqual(messages[0].headers.values("name"), ["another"]);
  assert.equal(messages[0].headers.get("Colon"), "a:b: c");
  assert.ok(messages[0].headers.has("Empty"));
  assert.equal(messages[1].headers, undefined);
  assert.deepEqual(messages[2].headers.values("Name"), ["one", "two"]);
  assert.equal(messages[2].reply, "headers.reply");
});

// echo answers requests with their own payload.
function echo(nc, subject, options = {}) {
  return nc.subscribe(subject, { ...options, callback: (_, m) => m.respond(m.data, { headers: m.headers }) });
}

add("requests", async (c) => {
  const nc = await c.connect(), server = await c.connect();
  echo(server, "echo.>");
  await server.flush();
  const h = headers();
  h.set("Key", "value");
  for (const noMux of [false, true]) {
    const answer = await nc.request("echo.a", "hello", { timeout: 5_000, noMux, headers: h });
    assert.equal(text.decode(answer.data), "hello");
    assert.equal(answer.headers.get("Key"), "value");
  }
  const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => nc.request(`echo.${i}`, String(i), { timeout: 5_000 })));
  assert.deepEqual(strings(answers), Array.from({ length: 500 }, (_, i) => String(i)));
});

add("requests: to oneself, and with a prefix of inboxes", async (c) => {
  const nc = await c.connect({ inboxPrefix: "my.inbox" });
  echo(nc, "self");
  const answer = await nc.request("self", "hello", { timeout: 5_000 });
  assert.equal(text.decode(answer.data), "hello");
  assert.match(answer.subject, /^my\.inbox\./);
});

add("requests: no responders", async (c) => {
  const nc = await c.connect();
  for (const noMux of [false, true]) {
    const start = performance.now();
    await assert.rejects(nc.request("nobody.here", Empty, { timeout: 5_000, noMux }), { code: ErrorCode.NoResponders });
    assert.ok(performance.now() - start < 2_000, "at once");
  }
  const inbox = createInbox();
  const { messages } = collect(nc, inbox);
  nc.publish("nobody.here", Empty, { reply: inbox });
  await until("the status", () => messages.length === 1);
  assert.equal(messages[0].headers.code, 503);
  assert.equal(messages[0].data.length, 0);
});

add("requests: nobody answers", async (c) => {
  const nc = await c.connect();
  nc.subscribe("silent", { callback() {} });
  await assert.rejects(nc.request("silent", Empty, { timeout: 200 }), { code: ErrorCode.Timeout });
});

add("requestMany", async (c) => {
  const nc = await c.connect();
  for (let i = 0; i < 3; i++) {
    const responder = await c.connect();
    responder.subscribe("many", {
      callback(_, m) {
        m.respond(text.encode(String(i)));
        m.respond(i === 2 ? Empty : text.encode(String(i)));
      },
    });
    await responder.flush();
  }
  const ask = async (options) => {
    const answers = [];
    for await (const m of await nc.requestMany("many", Empty, { maxWait: 2_000, ...options })) {
      answers.push(text.decode(m.data));
    }
    return answers;
  };
  assert.equal((await ask({ strategy: RequestStrategy.Count, maxMessages: 4 })).length, 4);
  assert.equal((await ask({ strategy: RequestStrategy.Timer, maxWait: 300 })).length, 6);
  assert.equal((await ask({ strategy: RequestStrategy.JitterTimer, jitter: 200 })).length, 6);
  assert.equal((await ask({ strategy: RequestStrategy.Count, maxMessages: 6, noMux: true })).length, 6);
  const sentinel = await ask({ strategy: RequestStrategy.SentinelMsg });
  assert.equal(sentinel.at(-1), "");
  await assert.rejects(async () => {
    for await (const m of await nc.requestMany("many.nobody", Empty, { maxWait: 2_000 })) {
      assert.fail(`an answer: ${m.subject}`);
    }
  }, { code: ErrorCode.NoResponders });
});

add("unsubscribe", async (c) => {
  const nc = await c.connect();
  const one = collect(nc, "unsub.a"), limited = collect(nc, "unsub.a", { max: 3 }), later = collect(nc, "unsub.a"), all = collect(nc, "unsub.a");
  for (let i = 0; i < 2; i++) {
    nc.publish("unsub.a");
  }
  await until("two messages each", () => [one, limited, later, all].every((s) => s.messages.length === 2));
  one.sub.unsubscribe();
  later.sub.unsubscribe(5);
  for (let i = 0; i < 8; i++) {
    nc.publish("unsub.a");
  }
  await until("ten messages", () => all.messages.length === 10);
  await Promise.all([one.ended, limited.ended, later.ended]);
  assert.deepEqual([one, limited, later].map((s) => s.messages.length), [2, 3, 5]);
});

add("no echo", async (c) => {
  const nc = await c.connect({ noEcho: true }), other = await c.connect();
  const own = collect(nc, "noecho").messages, theirs = collect(other, "noecho").messages;
  await other.flush();
  nc.publish("noecho", "mine");
  await until("the message", () => theirs.length === 1);
  other.publish("noecho", "yours");
  await until("the other message", () => own.length === 1);
  assert.deepEqual(strings(own), ["yours"]);
});

add("verbose and pedantic", async (c) => {
  const nc = await c.connect({ verbose: true, pedantic: true });
  const { messages } = collect(nc, "verbose.>");
  for (let i = 0; i < 100; i++) {
    nc.publish("verbose.a", String(i));
  }
  await nc.flush();
  await until("the messages", () => messages.length === 100);
});

add("flush and round trip time", async (c) => {
  const nc = await c.connect();
  await Promise.all(Array.from({ length: 50 }, () => nc.flush()));
  assert.ok((await nc.rtt()) >= 0);
});

add("drain of a subscription", async (c) => {
  const nc = await c.connect(), other = await c.connect();
  const { sub, messages, ended } = collect(nc, "drain.sub");
  await nc.flush();
  for (let i = 0; i < 1_000; i++) {
    other.publish("drain.sub");
  }
  await other.flush();
  await sub.drain();
  await ended;
  assert.equal(messages.length, 1_000);
  other.publish("drain.sub");
  await other.flush();
  await nc.flush();
  assert.equal(messages.length, 1_000);
  assert.ok(sub.isClosed());
});

add("drain of a connection", async (c) => {
  const nc = await c.connect(), other = await c.connect();
  const got = collect(other, "drain.out"), { messages, ended } = collect(nc, "drain.in");
  await Promise.all([nc.flush(), other.flush()]);
  for (let i = 0; i < 1_000; i++) {
    other.publish("drain.in");
    nc.publish("drain.out");
  }
  await other.flush();
  const closed = nc.closed();
  await nc.drain();
  assert.equal(await closed, undefined);
  await ended;
  assert.equal(messages.length, 1_000);
  await until("what was published before", () => got.messages.length === 1_000);
  assert.throws(() => nc.publish("drain.out"), { code: ErrorCode.ConnectionClosed });
});

add("permissions", async (c) => {
  const nc = await c.connect();
  const status = statuses(nc);
  nc.publish("denied", "x");
  await until("the error for the publisher", () => status.of(Events.Error));
  assert.match(String(status.of(Events.Error).data), /PERMISSIONS_VIOLATION/);
  assert.equal(status.of(Events.Error).permissionContext?.operation, "publish");
  assert.equal(status.of(Events.Error).permissionContext?.subject, "denied");
  await assert.rejects(collect(nc, "denied").ended, { code: ErrorCode.PermissionsViolation });
  const fine = collect(nc, "allowed").messages;
  nc.publish("allowed");
  await until("what is allowed", () => fine.length === 1);
}, ["limited"]);

add("services", async (c) => {
  const nc = await c.connect(), client = await c.connect();
  const service = await nc.services.add({ name: "adder", version: "1.2.3", description: "adds" });
  service.addEndpoint("sum", { handler: (err, m) => m.respond(text.encode(String(m.json().reduce((a, b) => a + b)))) });
  await nc.flush();
  const answer = await client.request("sum", JSON.stringify([1, 2, 3]), { timeout: 5_000 });
  assert.equal(text.decode(answer.data), "6");
  const list = async (answers) => {
    const all = [];
    for await (const a of await answers) {
      all.push(a);
    }
    return all;
  };
  const monitor = client.services.client({ strategy: RequestStrategy.JitterTimer, jitter: 200, maxWait: 2_000 });
  assert.deepEqual((await list(monitor.ping())).map((s) => s.name), ["adder"]);
  assert.deepEqual((await list(monitor.info("adder"))).map((s) => s.version), ["1.2.3"]);
  assert.deepEqual((await list(monitor.stats("adder"))).map((s) => s.endpoints[0].num_requests), [1]);
  await service.stop();
});

add("reconnect", async (c) => {
  const nc = await c.connect({ maxReconnectAttempts: -1, reconnectTimeWait: 50, reconnectJitter: 10, waitOnFirstConnect: true });
  const status = statuses(nc);
  const { messages } = collect(nc, "reconnect.*");
  collect(nc, "reconnect.max", { max: 2 });
  nc.publish("reconnect.a", "before");
  await nc.flush();
  await c.order("restart");
  await until("the events", () => status.of(Events.Disconnect) && status.of(Events.Reconnect), 10_000);
  nc.publish("reconnect.b", "after");
  await until("the second message", () => messages.length === 2);
  assert.deepEqual(strings(messages), ["before", "after"]);
}, ["restart"]);

// This one is the last: the server goes.
add("lame duck", async (c) => {
  const nc = await c.connect({ reconnect: false });
  const status = statuses(nc);
  const { messages } = collect(nc, "lame.duck");
  await nc.flush();
  await c.order("lame-duck");
  await until("the event", () => status.of(Events.LDM), 10_000);
  nc.publish("lame.duck");
  await until("a message all the same", () => messages.length === 1);
}, ["lame-duck"]);
