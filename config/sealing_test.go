package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/secret"
)

func noEnv(string) (string, bool) { return "", false }

func TestSealingKeysAreCreatedOnceWhenAsked(t *testing.T) {
	k := config.SealingKeys{File: filepath.Join(t.TempDir(), "sealing.keys"), Create: true}
	first, warnings, err := k.Open(noEnv)
	if err != nil || len(warnings) != 0 {
		t.Fatalf("%v, warnings %q", err, warnings)
	}
	info, err := os.Stat(k.File)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file has %v (%v), want mode 0600", info, err)
	}
	second, _, err := k.Open(noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := second.Open(first.Seal([]byte("x"), "test"), "test"); err != nil || string(got) != "x" {
		t.Errorf("the second start cannot open what the first sealed: %q, %v", got, err)
	}
}

func TestSealingKeysThatAreMissingSayWhatToDo(t *testing.T) {
	dir := t.TempDir()
	for name, row := range map[string]struct {
		keys config.SealingKeys
		want []string
	}{
		"nothing configured": {config.SealingKeys{}, []string{"sealing_keys: {file: /etc/weir/sealing.keys, create: true}"}},
		"no file": {config.SealingKeys{File: dir + "/it's"}, []string{
			"it's: cannot be read: no such file", "set create: true", `head -c 32 /dev/urandom | base64 > '` + dir + `/it'\''s'`, "bring back the old file",
		}},
		"no directory":                      {config.SealingKeys{File: dir + "/none/keys", Create: true}, []string{"could not be created: the directory " + dir + "/none does not exist"}},
		"no variable":                       {config.SealingKeys{Env: "KEYS"}, []string{"the environment variable KEYS is not set", `export KEYS="$(head -c 32 /dev/urandom | base64)"`}},
		"a directory":                       {config.SealingKeys{File: dir}, []string{dir + ": cannot be read: is a directory"}},
		"create on a dead link's directory": {config.SealingKeys{File: dir + "/none/../none/keys", Create: true}, []string{"does not exist"}},
	} {
		t.Run(name, func(t *testing.T) {
			ring, _, err := row.keys.Open(noEnv)
			if err == nil || ring != nil {
				t.Fatalf("got %v, %v, want an error", ring, err)
			}
			for _, want := range append(row.want, "sealing_keys: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestSealingKeysThatAreWrongAreNotReplaced(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "short": "aGk=\n", "no base64": "hunter2 hunter2\n"} {
		t.Run(name, func(t *testing.T) {
			k := config.SealingKeys{File: write(t, "keys", content), Create: true}
			if _, _, err := k.Open(noEnv); err == nil || !strings.Contains(err.Error(), k.File) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want an error with the file's name and not its content", err)
			}
			if data, err := os.ReadFile(k.File); err != nil || string(data) != content {
				t.Errorf("the file is now %q (%v)", data, err)
			}
		})
	}
}

func TestSealingKeysFromTheEnvironment(t *testing.T) {
	current, old := secret.GenerateKey(), secret.GenerateKey()
	before, err := secret.ParseRing(strings.NewReader(old))
	if err != nil {
		t.Fatal(err)
	}
	sealed := before.Seal([]byte("x"), "test")
	for _, separator := range []string{"\n", ",", " ", ", ", "\r\n"} {
		env := func(name string) (string, bool) { return current + separator + old, name == "KEYS" }
		ring, warnings, err := config.SealingKeys{Env: "KEYS"}.Open(env)
		if err != nil || len(warnings) != 0 {
			t.Fatalf("separated by %q: %v, warnings %q", separator, err, warnings)
		}
		if _, err := ring.Open(sealed, "test"); err != nil {
			t.Errorf("separated by %q: the old key is missing: %v", separator, err)
		}
		if _, err := before.Open(ring.Seal(nil, "test"), "test"); err == nil {
			t.Errorf("separated by %q: the first key does not seal", separator)
		}
	}
}

func TestSealingKeysThatOthersMayReadAreAWarning(t *testing.T) {
	k := config.SealingKeys{File: write(t, "keys", secret.GenerateKey())}
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o400: 0, 0o640: 1, 0o604: 1, 0o660: 1} {
		if err := os.Chmod(k.File, mode); err != nil {
			t.Fatal(err)
		}
		if _, warnings, err := k.Open(noEnv); err != nil || len(warnings) != want {
			t.Errorf("mode %o: %v, warnings %q, want %d", mode, err, warnings, want)
		}
	}
}
