"""protobuf_python.py PROTO MSGCONV [ROUNDS]: messages and their JSON against Python's protobuf.

Random messages of every type that we read and write go both ways through both; texts at the edges
of ProtoJSON are accepted or refused alike, but for what we refuse on purpose.
"""
import base64
import json
import pathlib
import random
import subprocess
import sys
import tempfile

from google.protobuf import json_format, message_factory, struct_pb2
from grpc_tools import protoc

proto, msgconv = sys.argv[1:3]
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 300
generated = tempfile.TemporaryDirectory()
include = pathlib.Path(protoc.__file__).parent / "_proto"
sources = sorted(str(p) for p in pathlib.Path(proto, "attestd/v1").glob("*.proto"))
sources.append(f"{proto}/google/rpc/error_details.proto")
if protoc.main(["protoc", f"-I{proto}", f"-I{include}", f"--python_out={generated.name}",
                *sources]) != 0:
    sys.exit("protoc failed")
sys.path.insert(0, generated.name)
from attestd.v1 import admin_pb2, attestations_pb2, gate_pb2, lineage_pb2, log_pb2  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402

FILES = [admin_pb2, attestations_pb2, gate_pb2, lineage_pb2, log_pb2, error_details_pb2]
TYPES = [t for f in FILES for t in f.DESCRIPTOR.message_types_by_name.values()]
TYPES += [status_pb2.Status.DESCRIPTOR, struct_pb2.Value.DESCRIPTOR, struct_pb2.Struct.DESCRIPTOR]
DETAILS = [error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo]
pool = random.Random(7)
failed = []
passed = 0

ours = subprocess.Popen([msgconv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def convert(name, form, octets):
    """Our answer: (wire, JSON or None), or None where it is refused."""
    ours.stdin.write(f"{name} {form} {base64.b64encode(octets).decode()}\n")
    ours.stdin.flush()
    words = ours.stdout.readline().split(" ")
    if words[0] == "refused":
        return None
    text = words[1].strip()
    return base64.b64decode(words[0]), None if text == "-" else base64.b64decode(text)


def check(what, holds):
    global passed
    if holds:
        passed += 1
    else:
        failed.append(what)


TEXTS = ["", "a", "é", "\u2028", "\U0001f600", "\"\\/\b\f\n\r\t\x01", "x" * 300, "a/b+c"]
NUMBERS = [0, 1, -1, 0.5, -1.5e-7, 1e15, 1e20, 1e21, 2.0**53, 2.0**53 + 2, 1e300, 5e-324]
BITS = [0, 1, 2**31 - 1, 2**32 - 1, 2**53 + 1, 2**63 - 1, 2**64 - 1]


def fill_scalar(field):
    kind = field.cpp_type
    if kind == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            return pool.randbytes(pool.choice([0, 1, 2, 3, 32, 200]))
        return pool.choice(TEXTS)
    if kind == field.CPPTYPE_BOOL:
        return pool.random() < 0.5
    if kind == field.CPPTYPE_ENUM:
        return pool.choice([v.number for v in field.enum_type.values] + [77])
    if kind == field.CPPTYPE_DOUBLE:
        return float(pool.choice(NUMBERS))
    if kind in (field.CPPTYPE_UINT32, field.CPPTYPE_INT32):
        return pool.choice(BITS) % 2**31
    return pool.choice(BITS) % (2**63 if kind == field.CPPTYPE_INT64 else 2**64)


def fill_value(value, depth):
    kind = pool.choice(["null", "number", "string", "bool"] + (["list", "struct"] * (depth < 4)))
    if kind == "null":
        value.null_value = 0
    elif kind == "number":
        value.number_value = pool.choice(NUMBERS)
    elif kind == "string":
        value.string_value = pool.choice(TEXTS)
    elif kind == "bool":
        value.bool_value = pool.random() < 0.5
    elif kind == "list":
        value.list_value.SetInParent()
        for _ in range(pool.randrange(3)):
            fill_value(value.list_value.values.add(), depth + 1)
    else:
        value.struct_value.SetInParent()
        fill(value.struct_value, depth + 1)


def fill(message, depth=0):
    """Sets random fields; messages of known types within the range that their JSON can say."""
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Timestamp":
        message.seconds = pool.choice([0, -62135596800, 253402300799, 1767225600, -1])
        message.nanos = pool.choice([0, 1, 1000, 1000000, 999999999])
    elif name == "google.protobuf.Duration":
        message.seconds = pool.choice([0, 1, 315576000000])
        message.nanos = pool.choice([0, 1, 5000, 500000000])
    elif name == "google.protobuf.Value":
        fill_value(message, depth)
    elif name == "google.protobuf.Any":
        inner = pool.choice(DETAILS)()
        fill(inner, depth + 1)
        message.Pack(inner)
    else:
        for field in message.DESCRIPTOR.fields:
            if pool.random() < 0.6:
                fill_field(message, field, depth)


def fill_field(message, field, depth):
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        entries = getattr(message, field.name)
        for key in pool.sample(TEXTS, pool.randrange(4)):
            value = field.message_type.fields_by_name["value"]
            if value.message_type is None:
                entries[key] = fill_scalar(value)
            else:
                fill(entries[key], depth + 1)
    elif field.is_repeated:
        for _ in range(pool.randrange(4) if depth < 5 else 0):
            if field.message_type is None:
                getattr(message, field.name).append(fill_scalar(field))
            else:
                fill(getattr(message, field.name).add(), depth + 1)
    elif field.message_type is None:
        setattr(message, field.name, fill_scalar(field))
    elif depth < 5:
        getattr(message, field.name).SetInParent()
        fill(getattr(message, field.name), depth + 1)


def same(a, b):
    """Equal, but for the order of a map inside the octets of an Any."""
    return a == b or json.loads(theirs_to_json(a)) == json.loads(theirs_to_json(b))


def theirs_to_json(message):
    return json_format.MessageToJson(message, always_print_fields_with_no_presence=True)


def compare(descriptor):
    name, cls = descriptor.full_name, message_factory.GetMessageClass(descriptor)
    message = cls()
    fill(message)
    if name == "google.protobuf.Value" and message.WhichOneof("kind") is None:
        return
    theirs = theirs_to_json(message)
    for form, octets in (("wire", message.SerializeToString()), ("json", theirs.encode())):
        answer = convert(name, form, octets)
        if answer is None or answer[1] is None:
            check(f"{name}: {form} refused: {theirs}", False)
            continue
        check(f"{name}: wire from {form}: {theirs}", same(cls.FromString(answer[0]), message))
        check(f"{name}: JSON from {form}: {theirs}\n  {answer[1]}",
              json.loads(answer[1]) == json.loads(theirs))
        check(f"{name}: JSON read back: {theirs}",
              same(json_format.Parse(answer[1], cls()), message))


# (type, JSON, whether we differ on purpose: they accept, we refuse)
EDGES = [
    ("attestd.v1.GetRequest", '{"index":1e3}', False),
    ("attestd.v1.GetRequest", '{"index":1.5}', False),
    ("attestd.v1.GetRequest", '{"index":"1"}', False),
    ("attestd.v1.GetRequest", '{"index":-1}', False),
    ("attestd.v1.GetRequest", '{"index":18446744073709551616}', False),
    ("attestd.v1.GetRequest", '{"index":true}', False),
    ("attestd.v1.GetRequest", '{"index":null}', False),
    ("attestd.v1.GetRequest", '{"index":1,"leafHash":""}', False),
    ("attestd.v1.GetRequest", '{"leaf_hash":"AA"}', False),
    ("attestd.v1.GetRequest", '{"leafHash":"-_8="}', False),
    ("attestd.v1.GetRequest", '{"unknown":1}', False),
    ("attestd.v1.GetRequest", '[]', True),
    ("attestd.v1.ListRequest", '{"pageSize":4294967296}', False),
    ("attestd.v1.ListRequest", '{"includeReceipts":"true"}', False),
    ("attestd.v1.ListRequest", '{"digest":1}', False),
    ("attestd.v1.ListRequest", '{"digest":"a\\u0000"}', True),
    ("attestd.v1.ListRequest", '{"digest":"a","digest":"a"}', False),
    ("attestd.v1.TraceRequest", '{"direction":"UP"}', False),
    ("attestd.v1.TraceRequest", '{"direction":"NOWHERE"}', False),
    ("attestd.v1.TraceRequest", '{"direction":99}', False),
    ("attestd.v1.TraceRequest", '{"kinds":[null]}', False),
    ("attestd.v1.DecideRequest", '{"attributes":{"a":null}}', False),
    ("attestd.v1.DecideRequest", '{"attributes":{"a":"1","a":"2"}}', False),
    ("attestd.v1.DecideRequest", '{"subject":{"annotations":{"a":null}}}', False),
    ("attestd.v1.DecideRequest", '{"subject":{"annotations":null}}', False),
    ("attestd.v1.Token", '{"createdAt":"2026-01-02T03:04:05.123456789Z"}', False),
    ("attestd.v1.Token", '{"createdAt":"2026-01-02T03:04:05+01:30"}', False),
    ("attestd.v1.Token", '{"createdAt":"2026-01-02 03:04:05Z"}', False),
    ("attestd.v1.Token", '{"createdAt":"2026-13-02T03:04:05Z"}', False),
    ("attestd.v1.Token", '{"createdAt":"0000-01-02T03:04:05Z"}', False),
    ("attestd.v1.Token", '{"createdAt":1}', False),
    ("google.rpc.RetryInfo", '{"retryDelay":"1.5s"}', False),
    ("google.rpc.RetryInfo", '{"retryDelay":"1.5"}', False),
    ("google.rpc.RetryInfo", '{"retryDelay":"-1.000000001s"}', False),
    ("google.rpc.RetryInfo", '{"retryDelay":"315576000001s"}', False),
    ("google.protobuf.Value", "null", False),
    ("google.protobuf.Value", "[1,[],{}]", False),
    ("google.protobuf.Struct", '{"a":NaN}', True),
]


def edges():
    by_name = {d.full_name: d for d in TYPES}
    for name, text, on_purpose in EDGES:
        cls = message_factory.GetMessageClass(by_name[name])
        answer = convert(name, "json", text.encode())
        try:
            message = json_format.Parse(text, cls())
        except json_format.ParseError:
            message = None
        if on_purpose:
            check(f"{name} {text}: accepted", answer is None)
        elif message is None or answer is None:
            check(f"{name} {text}: theirs {message}, ours {answer}", message is answer is None)
        else:
            check(f"{name} {text}: read otherwise", cls.FromString(answer[0]) == message)


edges()
for _ in range(rounds):
    for t in TYPES:
        compare(t)
for what in failed[:20]:
    print("FAILED  " + " ".join(what.split()))
if passed:
    print(f"ok      {passed} comparisons with Python's protobuf, {len(TYPES)} types")
sys.exit(1 if failed or not passed else 0)
