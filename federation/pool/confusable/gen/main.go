// Command gen makes prototypes.txt of package confusable from Unicode's confusables.txt.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/weir-id/weir/federation/pool/confusable"
)

func main() {
	from := flag.String("from", "confusables.txt", "the published table")
	flag.Parse()
	if err := run(*from, "prototypes.txt"); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1) //nolint:forbidigo // a command of its own
	}
}

func run(from, to string) error {
	published, err := os.ReadFile(from) //nolint:gosec // whoever runs the generator names the file
	if err != nil {
		return err
	}
	text, err := Reduce(string(published))
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return os.WriteFile(to, []byte(text), 0o644) //nolint:gosec // source code, for everybody to read
}

// Reduce is the table without comments and classes, in order, under a head that names its version.
func Reduce(published string) (string, error) {
	table, err := confusable.Read(published)
	if err != nil {
		return "", err
	}
	version := "of an unknown version"
	for line := range strings.Lines(published) {
		if _, v, ok := strings.Cut(strings.TrimSpace(line), "# Version: "); ok {
			version = v
			break
		}
	}
	var b strings.Builder
	b.WriteString("# The prototypes of Unicode's confusable characters (Unicode Technical Standard 39, section 4): a character, a semicolon and what stands for\n" +
		"# everything that looks like it. Unicode " + version + ", from the file security/confusables.txt of the Unicode Character Database; LICENSE-UNICODE has\n" +
		"# its licence. Made by gen from that file.\n")
	for _, r := range slices.Sorted(maps.Keys(table)) {
		to := make([]string, 0, 1)
		for _, c := range table[r] {
			to = append(to, fmt.Sprintf("%04X", c))
		}
		fmt.Fprintf(&b, "%04X;%s\n", r, strings.Join(to, " "))
	}
	return b.String(), nil
}
