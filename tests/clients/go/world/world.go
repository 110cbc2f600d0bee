// Package world is what the three Go drivers share: the world of a run, read from KLOG_CLIENT_WORLD, and the words
// that scenarios are written in. It must never know a client.
package world

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"sort"
	"strings"
	"time"
)

// Patience is how long anything may take before it counts as never.
const Patience = 30 * time.Second

// World says where the brokers are and what may be used: the JSON object in KLOG_CLIENT_WORLD.
type World struct {
	Plain      string `json:"plain"`
	SASL       string `json:"sasl"`
	TLS        string `json:"tls"`
	SASLTLS    string `json:"sasl_tls"`
	CA         string `json:"ca"`
	OtherCA    string `json:"other_ca"`
	ClientCert string `json:"client_cert"`
	ClientKey  string `json:"client_key"`
	User       string `json:"user"`
	Password   string `json:"password"`
	Prefix     string `json:"prefix"`
	Klog       string `json:"klog"`
	Data       string `json:"data"`
	Scratch    string `json:"scratch"`
}

type skipped string

// Skip ends the scenario with exit 77: this client can not do it.
func Skip(reason string) { panic(skipped(reason)) }

// Check ends the scenario when there is an error.
func Check(err error, doing ...string) {
	if err != nil {
		panic(fmt.Sprintf("%s: %v", strings.Join(doing, " "), err))
	}
}

// Must gives the value of a call that must not fail.
func Must[T any](value T, err error) T {
	Check(err, "a call")
	return value
}

// That ends the scenario unless the condition holds.
func That(holds bool, format string, args ...any) {
	if !holds {
		panic("not so: " + fmt.Sprintf(format, args...))
	}
}

// Same ends the scenario unless both print alike.
func Same(what string, got, want any) {
	if g, w := fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want); g != w {
		panic(fmt.Sprintf("%s: got %s, want %s", what, short(g), short(w)))
	}
}

func short(text string) string {
	if len(text) > 600 {
		return text[:600] + "..."
	}
	return text
}

// Until waits for a condition.
func Until(what string, holds func() bool) {
	deadline := time.Now().Add(Patience)
	for !holds() {
		if time.Now().After(deadline) {
			panic("not within " + Patience.String() + ": " + what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Name is a topic, group or user name of this run.
func (w *World) Name(base string) string { return w.Prefix + "-" + base }

// Certified is a topic name that the broker refuses to whoever shows no client certificate.
func (w *World) Certified() string { return "cert-" + w.Prefix }

// TLSConfig trusts the world's authority, with the client certificate or without.
func (w *World) TLSConfig(withCertificate bool) *tls.Config {
	config := trusting(w.CA)
	if withCertificate {
		config.Certificates = []tls.Certificate{Must(tls.LoadX509KeyPair(w.ClientCert, w.ClientKey))}
	}
	return config
}

// WrongTLSConfig trusts an authority that signed nothing here.
func (w *World) WrongTLSConfig() *tls.Config { return trusting(w.OtherCA) }

func trusting(authority string) *tls.Config {
	pool := x509.NewCertPool()
	That(pool.AppendCertsFromPEM(Must(os.ReadFile(authority))), "%s holds a certificate", authority)
	return &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}
}

// Run calls the klog binary on the daemon's data folder, where the world has one.
func (w *World) Run(arguments ...string) string {
	command := exec.Command(w.Klog, append([]string{"--data", w.Data}, arguments...)...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	Check(err, strings.Join(arguments, " "), stderr.String())
	return string(out)
}

// Numbers makes n texts that sort as they count.
func Numbers(n int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("%06d", i)
	}
	return texts
}

// Sorted gives a sorted copy.
func Sorted(texts []string) []string {
	texts = append([]string{}, texts...)
	sort.Strings(texts)
	return texts
}

// Noise makes n bytes that no codec shrinks much.
func Noise(n int) []byte {
	bytes := make([]byte, n)
	Must(rand.Read(bytes))
	return bytes
}

// Main runs the scenario that the command line names.
func Main(scenarios map[string]func(*World)) {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: KLOG_CLIENT_WORLD=JSON driver SCENARIO")
		os.Exit(2)
	}
	scenario, known := scenarios[os.Args[1]]
	if !known {
		fmt.Println("this driver has no scenario", os.Args[1])
		os.Exit(77)
	}
	w := &World{}
	if err := json.Unmarshal([]byte(os.Getenv("KLOG_CLIENT_WORLD")), w); err != nil {
		fmt.Fprintln(os.Stderr, "KLOG_CLIENT_WORLD:", err)
		os.Exit(2)
	}
	defer func() {
		switch reason := recover().(type) {
		case nil:
		case skipped:
			fmt.Println(string(reason))
			os.Exit(77)
		default:
			fmt.Fprintf(os.Stderr, "%v\n%s", reason, debug.Stack())
			os.Exit(1)
		}
	}()
	time.AfterFunc(4*Patience, func() { panic("the scenario hangs") })
	scenario(w)
}
