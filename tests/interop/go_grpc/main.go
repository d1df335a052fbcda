// go_grpc ADDRESS CA TOKEN: the service from grpc-go, unmodified.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "interop.example/client/attestd"
)

type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}
func (bearer) RequireTransportSecurity() bool { return true }

var (
	client   pb.AttestationsClient
	stranger pb.AttestationsClient
	health   grpc_health_v1.HealthClient
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func hold(condition bool, what string) {
	if !condition {
		panic(what)
	}
}

func within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func soon() context.Context { return within(20 * time.Second) }

func submission(filler int) *pb.AttestRequest {
	digest := make([]byte, 32)
	must(rand.Read(digest))
	return &pb.AttestRequest{
		Subject: []*pb.ResourceDescriptor{{Name: "x",
			Digest: map[string]string{"sha256": hex.EncodeToString(digest)}}},
		PredicateType: "https://example.com/interop/v1",
		Predicate:     &pb.AttestRequest_JsonBytes{JsonBytes: []byte(`{"a":"` + strings.Repeat("x", filler) + `"}`)},
	}
}

func refused(want codes.Code, err error) *status.Status {
	s, _ := status.FromError(err)
	hold(s.Code() == want, fmt.Sprintf("%v instead of %v: %s", s.Code(), want, s.Message()))
	return s
}

func unary() {
	request := submission(1)
	first := must(client.Attest(soon(), request))
	var receipt struct {
		VerificationMaterial struct {
			TlogEntries []struct {
				LogIndex          string
				CanonicalizedBody []byte
			}
		}
	}
	if err := json.Unmarshal([]byte(first.Receipt), &receipt); err != nil {
		panic(err)
	}
	entry := receipt.VerificationMaterial.TlogEntries[0]
	hold(entry.LogIndex == fmt.Sprint(first.Index) && !first.Existing, "another index")
	leaf := sha256.Sum256(append([]byte{0}, entry.CanonicalizedBody...))
	hold(string(leaf[:]) == string(first.LeafHash), "leaf hash")
	again := must(client.Attest(soon(), request))
	hold(again.Existing && again.Receipt == first.Receipt, "not the same receipt")
	got := must(client.Get(soon(), &pb.GetRequest{Key: &pb.GetRequest_Index{Index: first.Index}}))
	hold(got.Attestation.Receipt == first.Receipt, "Get gives another")
}

func carriesMetadata() {
	ctx := metadata.AppendToOutgoingContext(soon(), "x-unknown", "v", "x-unknown-bin", "\x00\xff\n")
	var header metadata.MD
	must(client.List(ctx, &pb.ListRequest{Digest: "sha256:" + strings.Repeat("0", 64)}, grpc.Header(&header)))
	hold(len(header.Get("x-request-id")) == 1, "no x-request-id")
}

func batch() {
	request := &pb.AttestBatchRequest{}
	for i := 0; i < 50; i++ {
		request.Requests = append(request.Requests, submission(1))
	}
	request.Requests[17].Subject = nil
	results := must(client.AttestBatch(soon(), request)).Results
	hold(len(results) == 50, "not 50 results")
	for i, result := range results {
		hold((result.GetError() != nil) == (i == 17), fmt.Sprintf("item %d", i))
	}
	hold(codes.Code(results[17].GetError().Code) == codes.InvalidArgument, "code of the item")
}

func serverStream() {
	ctx, cancel := context.WithCancel(soon())
	defer cancel()
	stream := must(client.Watch(ctx, &pb.WatchRequest{}))
	wanted, last := int64(-1), int64(-1)
	for wanted < 0 || last < wanted {
		index := int64(must(stream.Recv()).Attestation.Index)
		hold(index > last, "out of order")
		last = index
		if wanted < 0 {
			wanted = int64(must(client.Attest(soon(), submission(1))).Index)
		}
	}
	cancel()
	_, err := stream.Recv()
	for err == nil {
		_, err = stream.Recv()
	}
	refused(codes.Canceled, err)
}

func deadline() {
	stream := must(client.Watch(within(300*time.Millisecond), &pb.WatchRequest{FromIndex: 1e9}))
	_, err := stream.Recv()
	refused(codes.DeadlineExceeded, err)
	must(client.Attest(soon(), submission(1)))
}

func cancellation() {
	for i := 0; i < 100; i++ {
		ctx, cancel := context.WithCancel(soon())
		stream := must(client.Watch(ctx, &pb.WatchRequest{FromIndex: 1e9}))
		cancel()
		_, err := stream.Recv()
		refused(codes.Canceled, err)
	}
	must(client.Attest(soon(), submission(1)))
}

func errorDetails() {
	request := submission(1)
	request.PredicateType = "https://in-toto.io/Provenance/v0.1"
	_, err := client.Attest(soon(), request)
	info, ok := refused(codes.InvalidArgument, err).Details()[0].(*errdetails.ErrorInfo)
	hold(ok && info.Reason == "PREDICATE_TYPE_RESERVED" && info.Domain == "attestd", "ErrorInfo")
	request = submission(1)
	request.Subject[0].Digest["sha256"] = "ABC"
	_, err = client.Attest(soon(), request)
	found := false
	for _, d := range refused(codes.InvalidArgument, err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			found = strings.HasPrefix(bad.FieldViolations[0].Field, "subject")
		}
	}
	hold(found, "no BadRequest with the field")
	_, err = client.Get(soon(), &pb.GetRequest{Key: &pb.GetRequest_Index{Index: 1e15}})
	refused(codes.NotFound, err)
	_, err = stranger.Get(soon(), &pb.GetRequest{Key: &pb.GetRequest_Index{Index: 0}})
	refused(codes.Unauthenticated, err)
}

func large() {
	reply := must(client.Attest(soon(), submission(2_000_000)))
	hold(len(reply.Receipt) > 2_600_000, "receipt too short")
	_, err := client.Attest(soon(), submission(4_000_000))
	refused(codes.InvalidArgument, err)
	_, err = client.Attest(soon(), submission(4_300_000))
	refused(codes.ResourceExhausted, err)
	must(client.Attest(soon(), submission(1)))
}

func many() {
	var group sync.WaitGroup
	var indexes sync.Map
	failures := make(chan error, 200)
	for i := 0; i < 200; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			reply, err := client.Attest(soon(), submission(1))
			if err != nil {
				failures <- err
				return
			}
			indexes.Store(reply.Index, true)
		}()
	}
	group.Wait()
	close(failures)
	for err := range failures {
		panic(err)
	}
	count := 0
	indexes.Range(func(any, any) bool { count++; return true })
	hold(count == 200, "indexes are not distinct")
}

func checksHealth() {
	for _, service := range []string{"", "attestd.v1.Attestations", "attestd.v1.Gate"} {
		reply := must(health.Check(soon(), &grpc_health_v1.HealthCheckRequest{Service: service}))
		hold(reply.Status == grpc_health_v1.HealthCheckResponse_SERVING, service)
	}
	_, err := health.Check(soon(), &grpc_health_v1.HealthCheckRequest{Service: "no.such"})
	refused(codes.NotFound, err)
	stream := must(health.Watch(soon(), &grpc_health_v1.HealthCheckRequest{}))
	hold(must(stream.Recv()).Status == grpc_health_v1.HealthCheckResponse_SERVING, "Watch")
}

func run(name string, check func()) {
	defer func() {
		if problem := recover(); problem != nil {
			fmt.Printf("FAILED  grpc-go: %s: %v\n", name, problem)
		}
	}()
	check()
	fmt.Printf("ok      grpc-go: %s\n", name)
}

func main() {
	pool := x509.NewCertPool()
	hold(pool.AppendCertsFromPEM(must(os.ReadFile(os.Args[2]))), "no CA")
	token := strings.TrimSpace(string(must(os.ReadFile(os.Args[3]))))
	secure := grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool}))
	pings := grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second})
	connection := must(grpc.NewClient(os.Args[1], secure, pings, grpc.WithPerRPCCredentials(bearer(token))))
	client = pb.NewAttestationsClient(connection)
	anyone := must(grpc.NewClient(os.Args[1], secure))
	stranger = pb.NewAttestationsClient(anyone)
	health = grpc_health_v1.NewHealthClient(anyone)

	run("unary: attest, and again", unary)
	run("metadata: request id comes back, unknown keys are fine", carriesMetadata)
	run("batch: each item its own result", batch)
	run("server stream: what is there, then what comes", serverStream)
	run("deadline exceeded", deadline)
	run("cancellation leaves the connection alone", cancellation)
	run("error details", errorDetails)
	run("large messages, both ways", large)
	run("two hundred at once on one connection", many)
	run("health", checksHealth)
}
