package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The published form is read with its mark, comments and classes, and the committed table is what gen writes.
func TestReduces(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "gen")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	run := func(in string) string {
		t.Helper()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "confusables.txt"), []byte(in), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), bin)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("gen: %v\n%s", err, out)
		}
		out, err := os.ReadFile(filepath.Join(dir, "prototypes.txt"))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	committed, err := os.ReadFile("../prototypes.txt")
	if err != nil {
		t.Fatal(err)
	}
	if again := run("# Version: 18.0.0\n" + string(committed)); again != string(committed) {
		t.Error("prototypes.txt is not what gen writes")
	}
	const published = "\uFEFF# confusables.txt\n# Version: 99.0.0\n\n05AD ;\t0596 ;\tMA\t# ( ֭ → ֖ )\n006D ;\t0072 006E ;\tMA\t# ( m → rn ) LATIN SMALL LETTER M → …\n"
	if got := run(published); len(got) < 100 || got[len(got)-len("006D;0072 006E\n05AD;0596\n"):] != "006D;0072 006E\n05AD;0596\n" {
		t.Errorf("%q", got)
	}
}
