// verify.js PACKAGES KEY.pem TRUSTED_ROOT BUNDLE: exit 0 if @sigstore/verify accepts the receipt,
// with its default thresholds (one log entry, one timestamp).
const { readFileSync } = require("fs");
const { createPublicKey } = require("crypto");
const [packages, key, root, bundle] = process.argv.slice(2);
const load = (name) => require(`${packages}/node_modules/@sigstore/${name}`);
const { bundleFromJSON } = load("bundle");
const { TrustedRoot } = load("protobuf-specs");
const { toSignedEntity, toTrustMaterial, Verifier } = load("verify");

const json = (file) => JSON.parse(readFileSync(file, "utf8"));
const publicKey = createPublicKey(readFileSync(key));
const trust = toTrustMaterial(TrustedRoot.fromJSON(json(root)), () => ({
  publicKey,
  validFor: () => true,
}));
new Verifier(trust, { ctlogThreshold: 0 }).verify(toSignedEntity(bundleFromJSON(json(bundle))));
