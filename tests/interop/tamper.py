"""tamper.py RECEIPT DIR: writes one changed copy of the receipt a way in which it can be changed."""
import base64
import copy
import json
import sys

receipt = json.load(open(sys.argv[1], encoding="utf-8"))


def flip(octets: bytes, at: int) -> bytes:
    return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]


def flip_base64(holder, name, at=-1):
    octets = base64.b64decode(holder[name])
    holder[name] = base64.b64encode(flip(octets, at % len(octets))).decode()


def entry(r):
    return r["verificationMaterial"]["tlogEntries"][0]


def payload(r):
    holder = r["dsseEnvelope"]
    octets = base64.b64decode(holder["payload"])
    holder["payload"] = base64.b64encode(octets.replace(b"predicate", b"predicatE", 1)).decode()


def checkpoint(r):
    holder = entry(r)["inclusionProof"]["checkpoint"]
    head, line, end = holder["envelope"].rsplit(" ", 1)[0], holder["envelope"].rsplit(" ", 1)[1], "\n"
    octets = base64.b64decode(line)
    holder["envelope"] = f"{head} {base64.b64encode(flip(octets, len(octets) - 1)).decode()}{end}"


CHANGES = {
    "payload": payload,
    "signature": lambda r: flip_base64(r["dsseEnvelope"]["signatures"][0], "sig"),
    "set": lambda r: flip_base64(entry(r)["inclusionPromise"], "signedEntryTimestamp"),
    "no-set": lambda r: entry(r).pop("inclusionPromise"),
    "proof": lambda r: flip_base64(entry(r)["inclusionProof"]["hashes"], 0),
    "root": lambda r: flip_base64(entry(r)["inclusionProof"], "rootHash"),
    "checkpoint": checkpoint,
    "body": lambda r: flip_base64(entry(r), "canonicalizedBody", 100),
}

for name, change in CHANGES.items():
    changed = copy.deepcopy(receipt)
    change(changed)
    assert changed != receipt, name
    with open(f"{sys.argv[2]}/{name}.json", "w", encoding="utf-8") as file:
        json.dump(changed, file, separators=(",", ":"), ensure_ascii=False)
