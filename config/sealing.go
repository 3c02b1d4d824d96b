package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/weir-id/weir/federation/secret"
)

const maxKeyFile = 64 << 10 // bytes

// SealingKeys name where the key ring is: a file or an environment variable, not both. secret.ParseRing gives the format; in the variable
// the keys may also stand on one line, separated by spaces or commas.
type SealingKeys struct {
	File string `yaml:"file"`
	Env  string `yaml:"env"`
	// Create makes the file with a new key at the first start. Default false, because a
	// key that is made anew by accident cannot open what the lost one sealed.
	Create bool `yaml:"create"`
}

// Open reads the ring. Warnings are for the log. The error says what to do and is meant for the admin's terminal.
func (k SealingKeys) Open(env func(string) (string, bool)) (ring *secret.Ring, warnings []string, err error) {
	switch {
	case k.File != "":
		ring, warnings, err = k.openFile()
	case k.Env != "":
		ring, err = k.openEnv(env)
	default:
		err = errors.New("none are configured, and without them the secrets in the store cannot be encrypted; add to weir.yaml:\n" +
			"  sealing_keys: {file: /etc/weir/sealing.keys, create: true}")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("sealing_keys: %w", err)
	}
	return ring, warnings, nil
}

func (k SealingKeys) openEnv(env func(string) (string, bool)) (*secret.Ring, error) {
	text, ok := env(k.Env)
	if !ok || strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("the environment variable %[1]s is not set; for a new installation make a key with:\n"+
			"  export %[1]s=\"$(head -c 32 /dev/urandom | base64)\"\nand keep it: what it seals cannot be read without it", k.Env)
	}
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
	ring, err := secret.ParseRing(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		return nil, fmt.Errorf("the environment variable %s: %w", k.Env, err)
	}
	return ring, nil
}

func (k SealingKeys) openFile() (*secret.Ring, []string, error) {
	data, err := readLimited(k.File, maxKeyFile)
	if errors.Is(err, fs.ErrNotExist) && k.Create {
		if err := k.create(); err != nil {
			return nil, nil, fmt.Errorf("%s could not be created: %w", k.File, err)
		}
		data, err = readLimited(k.File, maxKeyFile)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s: %w; for a new installation set create: true under sealing_keys in weir.yaml, or make the file with:\n"+
			"  (umask 077 && head -c 32 /dev/urandom | base64 > %s)\n"+
			"otherwise bring back the old file: what it sealed cannot be read without it", k.File, err, shellQuote(k.File))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", k.File, err)
	}
	ring, err := secret.ParseRing(strings.NewReader(string(data)))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", k.File, err)
	}
	return ring, k.permissions(), nil
}

// create writes the file in one piece that is on the disk before anything is sealed under it. A file that came
// into being in the meantime is left alone.
func (k SealingKeys) create() (err error) {
	f, err := os.OpenFile(k.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the directory %s does not exist", filepath.Dir(k.File))
	}
	if err != nil {
		return cause(err)
	}
	_, err = fmt.Fprintf(f, "# Sealing keys of Weir, one per line; the first seals, all open. Keep a copy in a safe place.\n%s\n", secret.GenerateKey())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(k.File))
	}
	if runtime.GOOS == "windows" { // has no fsync of directories
		return nil
	}
	dir, err := os.Open(filepath.Dir(k.File))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// permissions warns of a file that others may read. It is no fault: orchestrators mount secrets with wide modes.
func (k SealingKeys) permissions() []string {
	info, err := os.Stat(k.File)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return []string{fmt.Sprintf("the sealing key file %s has mode %04o, so that others than its owner may use it; run: chmod 600 %s",
		k.File, info.Mode().Perm(), shellQuote(k.File))}
}

// shellQuote makes a path one word of a POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
