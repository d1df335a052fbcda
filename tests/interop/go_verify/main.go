// go_verify KEY.pem TRUSTED_ROOT BUNDLE ARTIFACT: exit 0 if sigstore-go accepts the receipt.
package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"log"
	"os"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
)

type material struct {
	root.BaseTrustedMaterial
	root *root.TrustedRoot
	key  *root.ExpiringKey
}

func (m *material) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) { return m.key, nil }
func (m *material) RekorLogs() map[string]*root.TransparencyLog                    { return m.root.RekorLogs() }

func try[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func main() {
	block, _ := pem.Decode(try(os.ReadFile(os.Args[1])))
	public := try(x509.ParsePKIXPublicKey(block.Bytes))
	verifier := try(signature.LoadVerifier(public, crypto.SHA256))
	trusted := &material{root: try(root.NewTrustedRootFromPath(os.Args[2])),
		key: root.NewExpiringKey(verifier, time.Unix(0, 0), time.Time{})}
	receipt := try(bundle.LoadJSONFromPath(os.Args[3]))
	artifact := try(os.Open(os.Args[4]))
	v := try(verify.NewVerifier(trusted, verify.WithTransparencyLog(1), verify.WithIntegratedTimestamps(1)))
	try(v.Verify(receipt, verify.NewPolicy(verify.WithArtifact(artifact), verify.WithKey())))
}
