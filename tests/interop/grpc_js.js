// grpc_js.js PACKAGES PROTO ADDRESS CA TOKEN: the service from Node's @grpc/grpc-js, unmodified.
const { createHash, randomBytes } = require("crypto");
const { readFileSync } = require("fs");
const [packages, protoDir, address, ca, tokenFile] = process.argv.slice(2);
const grpc = require(`${packages}/node_modules/@grpc/grpc-js`);
const loader = require(`${packages}/node_modules/@grpc/proto-loader`);
const protobuf = require(`${packages}/node_modules/protobufjs`);

const token = readFileSync(tokenFile, "utf8").trim();
const options = { keepCase: true, includeDirs: [protoDir, __dirname], longs: Number, defaults: true, oneofs: true };
const files = ["attestations", "gate", "log", "trust", "lineage"].map((f) => `attestd/v1/${f}.proto`);
const { attestd, grpc: standard } = grpc.loadPackageDefinition(
  loader.loadSync([...files, "health.proto"], options),
);
const details = new protobuf.Root();
details.resolvePath = (_, target) =>
  target.startsWith("google/protobuf/") ? target : `${protoDir}/${target}`;
details.loadSync(["google/rpc/status.proto", "google/rpc/error_details.proto"]);

const tls = grpc.credentials.createSsl(readFileSync(ca));
const bearer = grpc.credentials.createFromMetadataGenerator((_, done) => {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  done(null, metadata);
});
const withToken = grpc.credentials.combineChannelCredentials(tls, bearer);
const v1 = attestd.v1;
const attestations = new v1.Attestations(address, withToken);
const stranger = new v1.Attestations(address, tls);
const health = new standard.health.v1.Health(address, tls);

const unary = (client, method, request, { deadlineMs = 20000, metadata } = {}) =>
  new Promise((resolve, reject) => {
    const seen = {};
    const call = client[method](
      request,
      metadata ?? new grpc.Metadata(),
      { deadline: Date.now() + deadlineMs },
      (error, reply) => (error ? reject(error) : resolve({ reply, headers: seen.headers })),
    );
    call.on("metadata", (headers) => (seen.headers = headers));
  });
const refused = async (promise, code) => {
  const error = await promise.then(() => new Error("no error"), (e) => e);
  assert(error.code === code, `expected code ${code}, got ${error.code}: ${error.message}`);
  return error;
};
const assert = (condition, message) => {
  if (!condition) throw new Error(message ?? "does not hold");
};
const detail = (error, type) => {
  const octets = error.metadata.get("grpc-status-details-bin")[0];
  assert(octets, "no status details");
  const status = details.lookupType("google.rpc.Status").decode(octets);
  const any = status.details.find((d) => d.type_url === `type.googleapis.com/google.rpc.${type}`);
  assert(any, `no ${type} detail`);
  return details.lookupType(`google.rpc.${type}`).decode(any.value);
};
const submission = (predicate = { a: 1 }) => ({
  subject: [{ name: "x", digest: { sha256: randomBytes(32).toString("hex") } }],
  predicate_type: "https://example.com/interop/v1",
  json_bytes: Buffer.from(JSON.stringify(predicate)),
});

const checks = {
  "unary: attest, and again": async () => {
    const request = submission();
    const { reply } = await unary(attestations, "Attest", request);
    const receipt = JSON.parse(reply.receipt);
    const [entry] = receipt.verificationMaterial.tlogEntries;
    assert(entry.logIndex === String(reply.index) && !reply.existing, "another index");
    const leaf = Buffer.concat([Buffer.from([0]), Buffer.from(entry.canonicalizedBody, "base64")]);
    assert(createHash("sha256").update(leaf).digest().equals(reply.leaf_hash), "leaf hash");
    const again = (await unary(attestations, "Attest", request)).reply;
    assert(again.existing && again.index === reply.index && again.receipt === reply.receipt);
    const got = (await unary(attestations, "Get", { index: reply.index })).reply.attestation;
    assert(got.receipt === reply.receipt && got.index === reply.index, "Get gives another");
  },
  "metadata: request id comes back, unknown keys are fine": async () => {
    const metadata = new grpc.Metadata();
    metadata.set("x-unknown", "a value");
    metadata.set("x-unknown-bin", Buffer.from([0, 255, 10]));
    const { headers } = await unary(attestations, "List", {
      digest: `sha256:${"0".repeat(64)}`,
    }, { metadata });
    assert(headers.get("x-request-id").length === 1, "no x-request-id");
  },
  "batch: each item its own result": async () => {
    const requests = Array.from({ length: 50 }, () => submission());
    requests[17].subject = [];
    const { results } = (await unary(attestations, "AttestBatch", { requests })).reply;
    assert(results.length === 50);
    results.forEach((r, i) => assert((r.result === "error") === (i === 17), `item ${i}`));
    assert(results[17].error.code === grpc.status.INVALID_ARGUMENT);
  },
  "server stream: what is there, then what comes": () =>
    new Promise((resolve, reject) => {
      const stream = attestations.Watch({ from_index: 0 }, { deadline: Date.now() + 20000 });
      let last = -1;
      let wanted = Infinity;
      stream.on("data", ({ attestation }) => {
        if (attestation.index <= last) reject(new Error("out of order"));
        last = attestation.index;
        if (wanted === Infinity) {
          wanted = -1; /* asked for */
          unary(attestations, "Attest", submission()).then(({ reply }) => (wanted = reply.index), reject);
        }
        if (wanted >= 0 && last >= wanted) stream.cancel();
      });
      const tick = setInterval(() => wanted >= 0 && last >= wanted && stream.cancel(), 20);
      stream.on("error", (e) => {
        clearInterval(tick);
        e.code === grpc.status.CANCELLED && last >= wanted ? resolve() : reject(e);
      });
    }),
  "deadline exceeded": async () => {
    await new Promise((resolve, reject) => {
      const stream = attestations.Watch({ from_index: 1e9 }, { deadline: Date.now() + 300 });
      stream.on("data", () => reject(new Error("data")));
      stream.on("error", (e) => (e.code === grpc.status.DEADLINE_EXCEEDED ? resolve() : reject(e)));
    });
    await unary(attestations, "Attest", submission());
  },
  "cancellation leaves the connection alone": async () => {
    // Cancelled in the turn in which they were opened, Node never sends the resets on (until it has
    // something else to write), and waits for ever behind the server's limit of streams.
    for (let i = 0; i < 150; i++) {
      await new Promise((resolve, reject) => {
        const stream = attestations.Watch({ from_index: 1e9 });
        stream.on("error", (e) => (e.code === grpc.status.CANCELLED ? resolve() : reject(e)));
        setImmediate(() => setImmediate(() => stream.cancel()));
      });
    }
    await unary(attestations, "Attest", submission());
  },
  "error details": async () => {
    const reserved = { ...submission(), predicate_type: "https://slsa.dev/provenance/v1" };
    const code = grpc.status.INVALID_ARGUMENT;
    const info = detail(await refused(unary(attestations, "Attest", reserved), code), "ErrorInfo");
    assert(info.reason === "PREDICATE_TYPE_RESERVED" && info.domain === "attestd");
    const bad = { ...submission(), subject: [{ digest: { sha256: "zz" } }] };
    const field = detail(await refused(unary(attestations, "Attest", bad), code), "BadRequest");
    assert(field.fieldViolations[0].field.startsWith("subject"), "no field");
    await refused(unary(attestations, "Get", { index: 1e15 }), grpc.status.NOT_FOUND);
    await refused(unary(stranger, "Get", { index: 0 }), grpc.status.UNAUTHENTICATED);
  },
  "large messages, both ways": async () => {
    const big = (n) => submission({ a: "x".repeat(n) });
    const { reply } = await unary(attestations, "Attest", big(2000000));
    assert(reply.receipt.length > 2600000, "receipt too short");
    await refused(unary(attestations, "Attest", big(4000000)), grpc.status.INVALID_ARGUMENT);
    await refused(unary(attestations, "Attest", big(4300000)), grpc.status.RESOURCE_EXHAUSTED);
    await unary(attestations, "Attest", submission());
  },
  "two hundred at once on one connection": async () => {
    const calls = Array.from({ length: 200 }, () => unary(attestations, "Attest", submission()));
    const indexes = new Set((await Promise.all(calls)).map(({ reply }) => reply.index));
    assert(indexes.size === 200, "indexes are not distinct");
  },
  "health": async () => {
    for (const service of ["", "attestd.v1.Attestations", "attestd.v1.Gate"]) {
      const { reply } = await unary(health, "Check", { service });
      assert(reply.status === "SERVING" || reply.status === 1, `${service}: ${reply.status}`);
    }
    await refused(unary(health, "Check", { service: "no.such" }), grpc.status.NOT_FOUND);
    await new Promise((resolve, reject) => {
      const stream = health.Watch({ service: "" });
      stream.on("data", () => stream.cancel());
      stream.on("error", (e) => (e.code === grpc.status.CANCELLED ? resolve() : reject(e)));
    });
  },
};

(async () => {
  for (const [name, check] of Object.entries(checks)) {
    const verdict = await check().then(() => "ok      ", (e) => `FAILED  ${e.message}: `);
    console.log(`${verdict}grpc-js: ${name}`);
  }
  process.exit(0);
})();
