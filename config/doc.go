// Package config reads the two files of a deployment into typed values: weir.yaml, the process, with
// Load, and pool.yaml, what is in it, with LoadPools. It writes the second one too, with WritePools. It also opens what the first one names: the sealing keys and the TLS certificate.
//
// It owns syntax: unknown keys, wrong types, missing values and unreadable secrets are refused here, all of
// them at once, each with file, line and path. It does not own the meaning of a pool.yaml; federation/pool checks that. It
// reads no environment of its own accord: the caller passes a lookup function.
//
// The decoder is our own, on yaml.Node. The libraries stop at the first unknown key, report lines without paths or paths without
// lines, and none lets a secret be a reference to a file or to the environment. What it takes is a subset of YAML:
// one document, no anchors and aliases (so there is nothing that grows when it is expanded), no merge keys, no
// tags of one's own, no null, and text that looks like true or false must be quoted.
//
// A fault never quotes the value of a secret or of a store address.
package config
