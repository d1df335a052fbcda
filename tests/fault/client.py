"""client.py WORK ADDRESS COMMAND...: submits over Connect's JSON on HTTP/1.1, remembers every answer
outside the store, and checks the log against what it remembers. Python's own library alone, and its
own Merkle tree: neither our client nor our tree code judges our server.

WORK/acks         one acknowledged submission a line: key, digest, index, leafHash, treeSize, time
WORK/receipts     the receipt of each, named by its subject's digest
WORK/unknown      keys whose submission got no answer, or one that leaves its outcome open
WORK/checkpoints  every checkpoint seen at /checkpoint, in the order seen
"""
import base64
import hashlib
import http.client
import json
import os
import pathlib
import random
import ssl
import subprocess
import sys
import threading
import time

work = pathlib.Path(sys.argv[1])
address = sys.argv[2]
tls = ssl.create_default_context(cafile=str(work / "ca.pem"))
token = (work / "admin.token").read_text().strip()
lock = threading.Lock()


class Refused(Exception):
    """An answer with an error code: the server lives."""

    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {body[:300]!r}")
        try:
            self.code = json.loads(body).get("code", "")
        except ValueError:
            self.code = ""
        self.body = body


class Connection:
    def __init__(self, timeout=30):
        self.http = http.client.HTTPSConnection(address, context=tls, timeout=timeout)

    def call(self, method, request):
        headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        self.http.request("POST", f"/attestd.v1.{method}", json.dumps(request), headers)
        response = self.http.getresponse()
        body = response.read()
        if response.status != 200:
            raise Refused(response.status, body)
        return json.loads(body)

    def get(self, path):
        self.http.request("GET", path)
        response = self.http.getresponse()
        body = response.read()
        if response.status != 200:
            raise Refused(response.status, body)
        return body.decode()


# --- remembering

def append(name, line):
    with lock, open(work / name, "a") as f:
        f.write(line + "\n")


def lines(name):
    try:
        return (work / name).read_text().splitlines()
    except FileNotFoundError:
        return []


def acks():
    return [json.loads(line) for line in lines("acks")]


def receipt_path(digest):
    return work / "receipts" / f"{digest}.json"


def remember(key, digest, answer):
    path = receipt_path(digest)
    path.with_suffix(".part").write_text(answer["receipt"])
    os.rename(path.with_suffix(".part"), path)
    append("acks", json.dumps({"key": key, "digest": digest, "index": int(answer["index"]),
                               "leafHash": answer["leafHash"],
                               "treeSize": int(answer["treeSize"]), "time": time.time()}))


# --- submitting

def submission(key):
    digest = hashlib.sha256(key.encode()).hexdigest()
    material = hashlib.sha256(key[:-1].encode()).hexdigest()
    return digest, {
        "subject": [{"name": key, "digest": {"sha256": digest}}],
        "provenance": {
            "buildType": "https://example.com/fault/v1",
            "externalParameters": {"key": key, "padding": "x" * (len(key) * 37 % 900)},
            "resolvedDependencies": [{"uri": f"pkg:generic/{key}", "digest": {"sha256": material}}],
        },
        "idempotencyKey": key,
    }


OPEN_OUTCOME = {"unavailable", "deadline_exceeded", "unknown", "internal", "canceled", "aborted"}


def submit_until_gone(run, thread, deadline):
    """Submits one after the other. Ends when the server is gone, or refuses, or time is up."""
    n = 0
    connection = None
    while time.monotonic() < deadline:
        key = f"{run}/{thread}/{n}"
        n += 1
        digest, request = submission(key)
        try:
            connection = connection or Connection()
            remember(key, digest, connection.call("Attestations/Attest", request))
        except Refused as refused:
            if refused.code in OPEN_OUTCOME:
                append("unknown", key)
            append("refusals", refused.code)
            if refused.code != "resource_exhausted" or b"DISK" in refused.body:
                return
        except (OSError, http.client.HTTPException):
            append("unknown", key)
            return


def submit(run, count):
    """submit RUN COUNT: one after the other, each must be logged."""
    connection = Connection()
    for n in range(int(count)):
        digest, request = submission(f"{run}/{n}")
        remember(f"{run}/{n}", digest, connection.call("Attestations/Attest", request))
        append("checkpoints", json.dumps(connection.get("/checkpoint")))


def watch_checkpoint(stop):
    connection = None
    last = ""
    while not stop.is_set():
        try:
            connection = connection or Connection(5)
            note = connection.get("/checkpoint")
            if note != last:
                append("checkpoints", json.dumps(note))
            last = note
        except (OSError, http.client.HTTPException, Refused):
            return
        stop.wait(0.005)


def load(run, threads="8", seconds="60"):
    """load RUN [THREADS SECONDS]: until the server is gone or the time is up."""
    deadline = time.monotonic() + float(seconds)
    stop = threading.Event()
    watcher = threading.Thread(target=watch_checkpoint, args=(stop,))
    workers = [threading.Thread(target=submit_until_gone, args=(run, t, deadline))
               for t in range(int(threads))]
    for t in [watcher, *workers]:
        t.start()
    for t in workers:
        t.join()
    stop.set()
    watcher.join()


# --- I4, I5

def repeat(sample="300"):
    """Every key (or a sample, always with the newest) again: the same entry, the same receipt."""
    known = acks()
    chosen = known[-100:] + random.sample(known, min(int(sample), len(known)))
    connection = Connection()
    for ack in chosen:
        _, request = submission(ack["key"])
        answer = connection.call("Attestations/Attest", request)
        was = json.loads(receipt_path(ack["digest"]).read_text())
        same = (int(answer["index"]) == ack["index"] and answer["leafHash"] == ack["leafHash"]
                and answer["existing"] is True and json.loads(answer["receipt"]) == was)
        if not same:
            sys.exit(f"key {ack['key']}: entry {ack['index']} then, {answer['index']} now")


def settle():
    """Keys without an answer: submitted again they are in the log exactly once."""
    connection = Connection()
    for key in dict.fromkeys(lines("unknown")):
        digest, request = submission(key)
        before = connection.call("Attestations/List", {"digest": f"sha256:{digest}"})
        found = before["attestations"]
        answer = connection.call("Attestations/Attest", request)
        if answer["existing"] != (len(found) == 1) or len(found) > 1:
            sys.exit(f"key {key}: {len(found)} entries listed, then existing={answer['existing']}")
        if found and int(found[0]["index"]) != int(answer["index"]):
            sys.exit(f"key {key}: listed as {found[0]['index']}, repeated as {answer['index']}")
        remember(key, digest, answer)
    (work / "unknown").unlink(missing_ok=True)
    known = acks()
    for ack in known[-50:] + random.sample(known, min(100, len(known))):
        listed = connection.call("Attestations/List", {"digest": f"sha256:{ack['digest']}"})
        if [int(a["index"]) for a in listed["attestations"]] != [ack["index"]]:
            sys.exit(f"key {ack['key']}: listed {listed['attestations']}, logged {ack['index']}")


# --- I1, I2, I3: a tree of our own, grown leaf by leaf

def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def roots_at(leaf_hashes, sizes):
    stack, roots = [], {0: hashlib.sha256(b"").digest()}
    for n, leaf in enumerate(leaf_hashes, 1):
        stack.append((1, leaf))
        while len(stack) > 1 and stack[-2][0] == stack[-1][0]:
            (width, left), (_, right) = stack[-2], stack[-1]
            stack[-2:] = [(2 * width, node(left, right))]
        if n in sizes:
            root = stack[-1][1]
            for _, left in reversed(stack[:-1]):
                root = node(left, root)
            roots[n] = root
    return roots


def parse_note(note):
    origin, size, root = note.split("\n")[:3]
    return origin, int(size), base64.b64decode(root)


def all_leaves(connection):
    size = parse_note(connection.get("/checkpoint"))[1]
    leaves = []
    while len(leaves) < size:
        end = min(len(leaves) + 500, size)
        part = connection.call("Log/GetEntries", {"start": str(len(leaves)), "end": str(end)})
        for entry in part["entries"]:
            if int(entry["index"]) != len(leaves):
                sys.exit(f"entry {entry['index']} stands at {len(leaves)}")
            leaves.append(base64.b64decode(entry["leaf"]))
    return leaves


def check_receipt(ack, receipt, hashes, roots):
    entry = receipt["verificationMaterial"]["tlogEntries"][0]
    proof = entry["inclusionProof"]
    origin, size, root = parse_note(proof["checkpoint"]["envelope"])
    if int(entry["logIndex"]) != ack["index"] or size != ack["treeSize"]:
        sys.exit(f"receipt of {ack['key']} is of another entry")
    if base64.b64decode(ack["leafHash"]) != hashes[ack["index"]]:
        sys.exit(f"entry {ack['index']} is another than was acknowledged")
    if root != roots[size] or base64.b64decode(proof["rootHash"]) != root:
        sys.exit(f"the checkpoint in the receipt of {ack['key']} is not of this log")
    return origin


def tree(may_lack=False):
    """Every receipt and every checkpoint ever seen against the raw entries, as they are now."""
    leaves = all_leaves(Connection())
    hashes = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    seen = [parse_note(json.loads(line)) for line in lines("checkpoints")]
    known = [a for a in acks() if not may_lack or a["index"] < len(leaves)]
    known = [a for a in known if not may_lack or a["treeSize"] <= len(leaves)]
    if not known or len({a["index"] for a in known}) != len({a["key"] for a in known}):
        sys.exit("nothing acknowledged, or two keys with one entry")
    if max(a["index"] for a in known) >= len(leaves):
        sys.exit(f"{len(leaves)} entries, but {max(a['index'] for a in known)} was acknowledged")
    sizes = {a["treeSize"] for a in known} | {s for _, s, _ in seen} | {len(leaves)}
    roots = roots_at(hashes, sizes)
    origins = {check_receipt(a, json.loads(receipt_path(a["digest"]).read_text()), hashes, roots)
               for a in known}
    before = 0
    for _, size, root in seen:
        if may_lack and size > len(leaves):
            continue
        if size < before or size > len(leaves) or roots[size] != root:
            sys.exit(f"the checkpoint of size {size} is not of this log, or went back")
        before = size
    now = parse_note(Connection().get("/checkpoint"))
    if now[2] != roots[now[1]] or len(origins) != 1:
        sys.exit("the newest checkpoint is not of these entries, or there are two origins")
    print(f"{len(leaves)} entries, {len(known)} receipts, {len(seen)} checkpoints")


# --- read-only

def health(service):
    """The gRPC health service over HTTP/2: the status octet, or a grpc-status as text."""
    name = service.encode()
    message = b"" if not name else b"\x0a" + bytes([len(name)]) + name
    framed = b"\x00" + len(message).to_bytes(4, "big") + message
    done = subprocess.run(
        ["curl", "-s", "--http2", "--cacert", str(work / "ca.pem"), "--data-binary", "@-",
         "-H", "content-type: application/grpc", "-H", "te: trailers", "-D", "-",
         f"https://{address}/grpc.health.v1.Health/Check"], input=framed, stdout=subprocess.PIPE)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    if body[5:6] == b"\x08":
        return body[6]
    return head.decode(errors="replace")



def reason_in_details(body, reason):
    """A Connect error's details are base64 of their messages: the reason stands in one."""
    details = json.loads(body).get("details", [])
    return any(reason.encode() in base64.b64decode(d.get("value", "") + "==") for d in details)


def read_only():
    connection = Connection()
    _, request = submission("read-only/never/logged")
    decide = {"subject": {"name": "x", "digest": {"sha256": "00" * 32}}, "environment": "production"}
    for method, body in (("Attestations/Attest", request), ("Gate/Decide", decide),
                         ("Gate/Decide", {**decide, "dryRun": True})):
        try:
            connection.call(method, body)
            sys.exit(f"{method} was not refused")
        except Refused as refused:
            if refused.code != "failed_precondition":
                sys.exit(f"{method}: {refused}")
            if not reason_in_details(refused.body, "LOG_READ_ONLY"):
                sys.exit(f"{method}: no reason LOG_READ_ONLY: {refused}")
    want = {"attestd.v1.Attestations": 2, "attestd.v1.Gate": 2, "": 2, "attestd.v1.Log": 1,
            "attestd.v1.Trust": 1, "attestd.v1.Lineage": 1}
    for service, status in want.items():
        got = health(service)
        if got != status:
            sys.exit(f"health of {service!r}: {got}, not {status}")
    connection.call("Trust/GetTrust", {})
    try:
        Connection().get("/checkpoint")
    except Refused as refused:  # not even a first checkpoint is left, and none is signed
        if b"FAILED_PRECONDITION" not in refused.body:
            raise
        return
    tree(may_lack=True)


def count():
    print(parse_note(Connection().get("/checkpoint"))[1])


commands = {"load": load, "submit": submit, "repeat": repeat, "settle": settle, "tree": tree,
            "read-only": read_only, "count": count}
commands[sys.argv[3]](*sys.argv[4:])
