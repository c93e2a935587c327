// Says what Go's crypto/x509 makes of certificates and keys: the parser that SPIRE's servers and
// agents use. One line in, one line of JSON out: `cert <base64>` or `key <base64>`.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// Answer has the error, or the facts that spire-mesh reads too.
type Answer struct {
	Error         string   `json:"error,omitempty"`
	NotBeforeS    int64    `json:"notBeforeS"`
	NotAfterS     int64    `json:"notAfterS"`
	KeyType       string   `json:"keyType"`
	Bits          int      `json:"bits"`
	IsCa          bool     `json:"isCa"`
	PathLength    int      `json:"pathLength"`
	HasKeyUsage   bool     `json:"hasKeyUsage"`
	Signs         bool     `json:"signs"`
	SignsCerts    bool     `json:"signsCerts"`
	Uris          int      `json:"uris"`
	SubjectKeyID  string   `json:"subjectKeyId"`
	AuthorityID   string   `json:"authorityKeyId"`
	Permitted     []string `json:"permitted"`
	Excluded      []string `json:"excluded"`
	Unhandled     int      `json:"unhandled"`
	IssuerDer     string   `json:"issuer"`
	SubjectDer    string   `json:"subject"`
	PublicKeyInfo string   `json:"spki"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 0, 64*1024), 1024*1024)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		kind, text, _ := strings.Cut(lines.Text(), " ")
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			panic(err)
		}
		answer := answerKey(der)
		if kind == "cert" {
			answer = answerCertificate(der)
		}
		line, err := json.Marshal(answer)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(out, string(line))
	}
	if err := lines.Err(); err != nil {
		panic(err)
	}
}

func answerKey(der []byte) Answer {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return Answer{Error: err.Error()}
	}
	keyType, bits := describe(key)
	return Answer{KeyType: keyType, Bits: bits}
}

func answerCertificate(der []byte) Answer {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return Answer{Error: err.Error()}
	}
	keyType, bits := describe(cert.PublicKey)
	hasKeyUsage := false
	for _, extension := range cert.Extensions {
		hasKeyUsage = hasKeyUsage || extension.Id.String() == "2.5.29.15"
	}
	// Go leaves the field 0 where the extension is absent.
	pathLength := -1
	if cert.BasicConstraintsValid {
		pathLength = cert.MaxPathLen
	}
	return Answer{
		NotBeforeS:    cert.NotBefore.Unix(),
		NotAfterS:     cert.NotAfter.Unix(),
		KeyType:       keyType,
		Bits:          bits,
		IsCa:          cert.IsCA,
		PathLength:    pathLength,
		HasKeyUsage:   hasKeyUsage,
		Signs:         cert.KeyUsage&x509.KeyUsageDigitalSignature != 0,
		SignsCerts:    cert.KeyUsage&x509.KeyUsageCertSign != 0,
		Uris:          len(cert.URIs),
		SubjectKeyID:  hex.EncodeToString(cert.SubjectKeyId),
		AuthorityID:   hex.EncodeToString(cert.AuthorityKeyId),
		Permitted:     append([]string{}, cert.PermittedURIDomains...),
		Excluded:      append([]string{}, cert.ExcludedURIDomains...),
		Unhandled:     len(cert.UnhandledCriticalExtensions),
		IssuerDer:     hex.EncodeToString(cert.RawIssuer),
		SubjectDer:    hex.EncodeToString(cert.RawSubject),
		PublicKeyInfo: hex.EncodeToString(cert.RawSubjectPublicKeyInfo),
	}
}

func describe(key any) (string, int) {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return "ec-" + strings.ToLower(strings.ReplaceAll(key.Params().Name, "-", "")), key.Params().BitSize
	case *rsa.PublicKey:
		return "rsa", key.N.BitLen()
	case ed25519.PublicKey:
		return "ed25519", 256
	}
	return "unknown", 0
}
