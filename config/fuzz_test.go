package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-id/weir/config"
)

// FuzzLoad holds that no file makes a reader panic, and that whatever is refused is refused with faults.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		// A mutated {file: …} must not wait for a device.
		if strings.Contains(string(data), "/dev") {
			return
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.yaml", os.Getpid()))
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var faults config.Faults
		c, err := config.Load(path, environment)
		if (err == nil) == (c == nil) || (err != nil && !errors.As(err, &faults)) {
			t.Fatalf("got %+v and %v", c, err)
		}
		if _, err := config.LoadPools(path, environment); err != nil && !errors.As(err, &faults) {
			t.Fatal(err)
		}
	})
}
