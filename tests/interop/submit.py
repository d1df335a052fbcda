"""submit.py ADDRESS CA TOKEN DIR: has a server attest, sign a model and decide, over Connect's JSON,
and lays out what came back as tests/tools/mint.c does, for receipts.sh. Only Python's own library:
our client must not stand between the server and the judges."""
import base64
import hashlib
import http.client
import json
import pathlib
import ssl
import sys

address, ca, token_file, out = sys.argv[1:5]
directory = pathlib.Path(out)
token = pathlib.Path(token_file).read_text().strip()
tls = ssl.create_default_context(cafile=ca)


def call(method, request):
    connection = http.client.HTTPSConnection(address, context=tls, timeout=30)
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    connection.request("POST", f"/attestd.v1.{method}", json.dumps(request), headers)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        sys.exit(f"{method}: HTTP {response.status}: {body[:500]!r}")
    return json.loads(body)


def write(name, text):
    (directory / name).parent.mkdir(exist_ok=True)
    (directory / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def provenance(sha256, name):
    return call("Attestations/Attest", {
        "subject": [{"name": name, "digest": {"sha256": sha256}}],
        "provenance": {
            "buildType": "https://example.com/build/v1",
            "externalParameters": {"ref": "refs/heads/main", "weight": 0.1},
            "resolvedDependencies": [{"uri": "git+https://git.example/shop",
                                      "digest": {"gitCommit": "48" * 20}}],
            "startedOn": "2026-01-01T00:00:00Z",
        },
    })


def envelope_of(receipt):
    """The bare envelope: members sorted, no white space (its strings are ASCII)."""
    return json.dumps(json.loads(receipt)["dsseEnvelope"], sort_keys=True, separators=(",", ":"))


trust = call("Trust/GetTrust", {})
write("trusted_root.json", trust["trustedRoot"])
write("signing-keys.json", trust["signingKeys"])
for key in json.loads(trust["signingKeys"])["keys"]:
    write(f"{key['purpose']}.pem", key["publicKeyPem"])

write("artifact", b"an artifact\n")
artifact = hashlib.sha256(b"an artifact\n").hexdigest()
write("first-entry.sigstore.json", provenance(artifact, "artifact")["receipt"])
for i in range(20):
    provenance(hashlib.sha256(b"%d" % i).hexdigest(), f"other-{i}")

resources, root = [], hashlib.sha256()
for name in ("config.json", "weights.bin"):
    write(f"model/{name}", name)
    digest = hashlib.sha256(name.encode())
    root.update(digest.digest())
    resources.append({"name": name, "algorithm": "sha256", "digest": digest.hexdigest()})
predicate = {"serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
             "resources": resources}
write("model.sigstore.json", call("Attestations/Attest", {
    "subject": [{"name": "model", "digest": {"sha256": root.hexdigest()}}],
    "predicateType": "https://model_signing/signature/v1.0",
    "jsonBytes": base64.b64encode(json.dumps(predicate).encode()).decode(),
})["receipt"])
write("provenance.sigstore.json", call("Attestations/Attest", {
    "subject": [{"name": "artifact", "digest": {"sha256": artifact}}],
    "provenance": {"buildType": "https://example.com/again/v1", "externalParameters": {"n": 1}},
})["receipt"])

decision = call("Gate/Decide", {
    "subject": {"name": "artifact", "digest": {"sha256": artifact}}, "environment": "production"})
if decision["decision"] != "ALLOW":
    sys.exit(f"the gate does not allow: {json.dumps(decision)[:1000]}")
write("summary.sigstore.json", decision["receipt"])
write("summary.dsse.json", envelope_of(decision["receipt"]))
