"""grpc_python.py PROTO ADDRESS CA TOKEN: the service from Python's grpcio, unmodified."""
import hashlib
import json
import os
import pathlib
import sys
import tempfile
import threading

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status
from grpc_tools import protoc

proto, address, ca, token_file = sys.argv[1:5]
generated = tempfile.TemporaryDirectory()
include = pathlib.Path(protoc.__file__).parent / "_proto"
sources = sorted(str(p) for p in pathlib.Path(proto, "attestd/v1").glob("*.proto"))
if protoc.main(["protoc", f"-I{proto}", f"-I{include}", f"--python_out={generated.name}",
                f"--grpc_python_out={generated.name}", *sources]) != 0:
    sys.exit("protoc failed")
sys.path.insert(0, generated.name)
from attestd.v1 import attestations_pb2 as pb  # noqa: E402
from attestd.v1 import attestations_pb2_grpc as stubs  # noqa: E402

tls = grpc.ssl_channel_credentials(pathlib.Path(ca).read_bytes())
token = pathlib.Path(token_file).read_text().strip()
with_token = grpc.composite_channel_credentials(tls, grpc.access_token_call_credentials(token))
channel = grpc.secure_channel(address, with_token)
client = stubs.AttestationsStub(channel)
anyone = grpc.secure_channel(address, tls)
TIMEOUT = 20


def submission(predicate=None):
    request = pb.AttestRequest(predicate_type="https://example.com/interop/v1",
                               json_bytes=json.dumps(predicate or {"a": 1}).encode())
    request.subject.add(name="x").digest["sha256"] = os.urandom(32).hex()
    return request


def refused(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()}: {error.details()}"
        return error
    raise AssertionError(f"no {code}")


def detail(error, kind):
    for packed in rpc_status.from_call(error).details:
        message = kind()
        if packed.Unpack(message):
            return message
    raise AssertionError(f"no {kind.__name__}")


def unary():
    request = submission()
    first = client.Attest(request, timeout=TIMEOUT)
    entry = json.loads(first.receipt)["verificationMaterial"]["tlogEntries"][0]
    assert entry["logIndex"] == str(first.index) and not first.existing
    again = client.Attest(request, timeout=TIMEOUT)
    assert again.existing and again.receipt == first.receipt
    got = client.Get(pb.GetRequest(leaf_hash=first.leaf_hash), timeout=TIMEOUT).attestation
    assert got.receipt == first.receipt and got.index == first.index


def metadata():
    _, call = client.List.with_call(pb.ListRequest(digest="sha256:" + "0" * 64), timeout=TIMEOUT,
                                    metadata=[("x-unknown", "v"), ("x-unknown-bin", b"\0\xff\n")])
    assert [k for k, _ in call.initial_metadata()].count("x-request-id") == 1


def batch():
    requests = [submission() for _ in range(50)]
    del requests[17].subject[:]
    results = client.AttestBatch(pb.AttestBatchRequest(requests=requests), timeout=TIMEOUT).results
    kinds = [r.WhichOneof("result") for r in results]
    assert kinds == ["response"] * 17 + ["error"] + ["response"] * 32, kinds
    assert results[17].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def server_stream():
    stream = client.Watch(pb.WatchRequest(from_index=0), timeout=TIMEOUT)
    wanted, last = None, -1
    for response in stream:
        assert response.attestation.index > last
        last = response.attestation.index
        if wanted is None:
            wanted = client.Attest(submission(), timeout=TIMEOUT).index
        if last >= wanted:
            stream.cancel()
            return
    raise AssertionError("the stream ended")


def deadline():
    stream = client.Watch(pb.WatchRequest(from_index=10**9), timeout=0.3)
    refused(grpc.StatusCode.DEADLINE_EXCEEDED, next, stream)
    client.Attest(submission(), timeout=TIMEOUT)


def cancellation():
    for _ in range(100):
        stream = client.Watch(pb.WatchRequest(from_index=10**9))
        stream.cancel()
        refused(grpc.StatusCode.CANCELLED, next, stream)
    client.Attest(submission(), timeout=TIMEOUT)


def error_details():
    request = submission()
    request.predicate_type = "https://slsa.dev/verification_summary/v1"
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, client.Attest, request, timeout=TIMEOUT)
    info = detail(error, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == ("PREDICATE_TYPE_RESERVED", "attestd")
    request = submission()
    request.subject[0].digest["sha256"] = "\u00e9"
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, client.Attest, request, timeout=TIMEOUT)
    assert detail(error, error_details_pb2.BadRequest).field_violations[0].field.startswith("subject")
    refused(grpc.StatusCode.NOT_FOUND, client.Get, pb.GetRequest(index=10**15), timeout=TIMEOUT)
    refused(grpc.StatusCode.UNAUTHENTICATED, stubs.AttestationsStub(anyone).Get,
            pb.GetRequest(index=0), timeout=TIMEOUT)
    unknown = channel.unary_unary("/attestd.v1.Attestations/NoSuch", lambda b: b, lambda b: b)
    refused(grpc.StatusCode.UNIMPLEMENTED, unknown, b"", timeout=TIMEOUT)


def large():
    reply = client.Attest(submission({"a": "x" * 2_000_000}), timeout=TIMEOUT)
    assert len(reply.receipt) > 2_600_000
    refused(grpc.StatusCode.INVALID_ARGUMENT, client.Attest, submission({"a": "x" * 4_000_000}),
            timeout=TIMEOUT)
    refused(grpc.StatusCode.RESOURCE_EXHAUSTED, client.Attest,
            submission({"a": "x" * 4_300_000}), timeout=TIMEOUT)
    client.Attest(submission(), timeout=TIMEOUT)


def many():
    calls = [client.Attest.future(submission(), timeout=TIMEOUT) for _ in range(200)]
    assert len({call.result().index for call in calls}) == 200


def health():
    health = health_pb2_grpc.HealthStub(anyone)
    for service in ("", "attestd.v1.Attestations", "attestd.v1.Gate"):
        reply = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING, service
    refused(grpc.StatusCode.NOT_FOUND, health.Check,
            health_pb2.HealthCheckRequest(service="no.such"), timeout=TIMEOUT)
    stream = health.Watch(health_pb2.HealthCheckRequest(service=""), timeout=TIMEOUT)
    assert next(stream).status == health_pb2.HealthCheckResponse.SERVING
    stream.cancel()


def reflection():
    database = ProtoReflectionDescriptorDatabase(anyone)
    assert "attestd.v1.Attestations" in database.get_services()
    file = database.FindFileContainingSymbol("attestd.v1.AttestRequest")
    assert file.package == "attestd.v1"
    assert database.FindFileByName("google/rpc/status.proto").package == "google.rpc"


def threads():
    errors = []

    def work():
        with grpc.secure_channel(address, with_token) as own:
            try:
                for _ in range(10):
                    stubs.AttestationsStub(own).Attest(submission(), timeout=TIMEOUT)
            except grpc.RpcError as error:
                errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors, errors[0]


CHECKS = {
    "unary: attest, and again": unary,
    "metadata: request id comes back, unknown keys are fine": metadata,
    "batch: each item its own result": batch,
    "server stream: what is there, then what comes": server_stream,
    "deadline exceeded": deadline,
    "cancellation leaves the connection alone": cancellation,
    "error details": error_details,
    "large messages, both ways": large,
    "two hundred at once on one connection": many,
    "eight connections": threads,
    "health": health,
    "reflection v1alpha": reflection,
}
for name, check in CHECKS.items():
    try:
        check()
        print(f"ok      grpcio: {name}", flush=True)
    except Exception as error:  # a client's every failure is a finding
        print(f"FAILED  grpcio: {name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
