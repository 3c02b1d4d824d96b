package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Patterns are those of the go command: ./x/... is the package x of this module and all below it;
// anything without ./ is a package of others.

// layers says which packages of this module a package may import outside its tests: imports run one way,
// cmd -> server, config, providers, saml -> federation -> mapping. The first row that matches counts.
var layers = []struct {
	of     string
	may    []string
	reason string
}{
	{"./mapping/...", []string{"./mapping/..."}, "mapping is pure rules and the lowest layer"},
	{"./federation/fault", nil, "a leaf: everything imports it"},
	{"./federation/secret", nil, "a leaf: everything imports it"},
	{"./federation/store/...", []string{"./federation/store/...", "./federation/fault", "./federation/secret"},
		"an engine keeps documents and does not grow with the domain"},
	{"./federation/...", []string{"./federation/...", "./mapping/..."}, "the domain knows neither HTTP servers nor files of configuration"},
	{"./config/...", []string{"./config/...", "./federation/...", "./mapping/..."}, "siblings of one layer are put together in cmd"},
	{"./providers/...", []string{"./providers/...", "./federation/...", "./mapping/..."}, "siblings of one layer are put together in cmd"},
	{"./saml/...", []string{"./saml/...", "./providers/detail", "./federation/...", "./mapping/..."},
		"siblings of one layer are put together in cmd; every kind of provider reads its details the same way"},
	{"./server/servertest", []string{"./..."}, "a harness puts the parts together as cmd does"},
	{"./server/...", []string{"./server/...", "./federation/...", "./mapping/..."}, "siblings of one layer are put together in cmd"},
	{"./cmd/weir/demo/...", []string{"./cmd/weir/demo/..."}, "the sample application is an ordinary relying party and knows nothing of Weir"},
	{"./cmd/...", []string{"./..."}, "cmd is where the parts are put together"},
}

// onlyBy says who may import a package. Where tests is true, any test may as well.
var onlyBy = []struct {
	what   string
	by     []string
	tests  bool
	reason string
}{
	{"./federation/store", []string{"./federation/...", "./cmd/...", "./server/servertest"}, true, "server and providers speak to the domain, never to its store"},
	{"./federation/store/bolt/...", []string{"./federation/store/bolt/...", "./cmd/...", "./server/servertest"}, true, "only cmd chooses an engine"},
	{"./federation/store/mongo/...", []string{"./federation/store/mongo/...", "./cmd/..."}, true, "only cmd chooses an engine"},
	{"./federation/store/storetest/...", []string{"./federation/store/storetest/..."}, true, "the contract suite is for tests"},
	{"./federation/store/faulty", nil, true, "it breaks calls on purpose"},
	{"./server/servertest", []string{"./server/servertest"}, true, "the harness is for tests"},
	{"./cmd/...", []string{"./cmd/..."}, false, "nothing depends on the wiring"},

	{"cel.dev/...", []string{"./mapping/..."}, false, "what expressions may do is decided in one place"},
	{"github.com/labstack/echo/...", []string{"./server/..."}, false, "the web framework can be replaced in one place"},
	{"go.etcd.io/bbolt/...", []string{"./federation/store/bolt/..."}, false, "an engine's library stays in its package"},
	{"go.mongodb.org/mongo-driver/...", []string{"./federation/store/mongo/..."}, false, "an engine's library stays in its package"},
	{"github.com/coreos/go-oidc/...", []string{"./providers/...", "./cmd/weir/demo/..."}, true,
		"relying-party code is for upstream providers; tests verify our tokens with it"},
	{"golang.org/x/oauth2/...", []string{"./providers/...", "./cmd/weir/demo/..."}, true,
		"relying-party code is for upstream providers; tests sign in with it"},
	{"github.com/crewjam/...", []string{"./saml/..."}, false, "XML stays where its threats are known"},
	{"github.com/beevik/etree/...", []string{"./saml/..."}, false, "XML stays where its threats are known"},
	{"github.com/russellhaering/goxmldsig/...", []string{"./saml/..."}, false, "XML stays where its threats are known"},
	{"go.yaml.in/...", []string{"./config/..."}, true, "one strict reader of files; tests try to leak secrets through it"},
	{"github.com/spf13/cobra/...", []string{"./cmd/..."}, false, "the command line is in cmd"},
	{"github.com/aws/aws-sdk-go-v2/service/...", []string{"./server/servertest"}, true,
		"tests call the JSON API as applications do; Weir itself calls no service of AWS"},
	{"github.com/aws/aws-sdk-go-v2/...", []string{"./server/poolapi/...", "./server/servertest"}, true, "AWS's signatures are the JSON API's; tests call it as its clients do"},
	{"github.com/aws/smithy-go/...", []string{"./server/poolapi/..."}, true, "the same"},
	{"github.com/prometheus/client_golang/...", []string{"./server/...", "./cmd/..."}, false, "the domain is measured from outside"},
}

const module = "github.com/weir-id/weir"

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func TestImportsRunOneWay(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("decode the answer of go list: %v", err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < 5 {
		t.Fatalf("go list found %d packages: not the whole module", len(pkgs))
	}
	for _, f := range importFaults(pkgs) {
		t.Error(f)
	}
}

// importFaults says where pkgs break the rules above.
func importFaults(pkgs []listed) []string {
	var faults []string
	for _, p := range pkgs {
		from := local(p.ImportPath)
		for _, imp := range p.Imports {
			faults = append(faults, layerFaults(from, local(imp))...)
			faults = append(faults, ownerFaults(from, local(imp), false)...)
		}
		tests := slices.Concat(p.TestImports, p.XTestImports)
		slices.Sort(tests)
		for _, imp := range slices.Compact(tests) {
			faults = append(faults, ownerFaults(from, local(imp), true)...)
		}
	}
	return faults
}

func layerFaults(from, imp string) []string {
	if !strings.HasPrefix(imp, "./") {
		return nil
	}
	for _, l := range layers {
		if !matches(l.of, from) {
			continue
		}
		if matchesAny(l.may, imp) {
			return nil
		}
		return []string{fmt.Sprintf("%s imports %s: %s", from, imp, l.reason)}
	}
	return []string{fmt.Sprintf("%s has no row in the table of layers", from)}
}

func ownerFaults(from, imp string, test bool) []string {
	var faults []string
	for _, o := range onlyBy {
		if matches(o.what, imp) && !matchesAny(o.by, from) && !(test && o.tests) {
			of := ""
			if test {
				of = "the tests of "
			}
			faults = append(faults, fmt.Sprintf("%s%s: import of %s, which only %s may: %s", of, from, imp, strings.Join(o.by, " and "), o.reason))
		}
	}
	return faults
}

// local writes a package of this module with a leading ./ and leaves others as they are.
func local(path string) string {
	if path == module {
		return "."
	}
	if rest, ok := strings.CutPrefix(path, module+"/"); ok {
		return "./" + rest
	}
	return path
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

func matches(pattern, path string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == base || strings.HasPrefix(path, base+"/")
	}
	return path == pattern
}

func TestImportsCheckerFindsEachKindOfFault(t *testing.T) {
	own := func(path string) string { return module + "/" + path }
	tests := []struct {
		name string
		pkg  listed
		want string // part of the only fault; "" is none
	}{
		{"the domain may use mapping", listed{ImportPath: own("federation"), Imports: []string{own("mapping"), "net/url"}}, ""},
		{"mapping may not look up", listed{ImportPath: own("mapping"), Imports: []string{own("federation")}}, "./mapping imports ./federation"},
		{"the domain may not use the server", listed{ImportPath: own("federation/token"), Imports: []string{own("server/oauth")}}, "./federation/token imports ./server/oauth"},
		{"siblings do not know each other", listed{ImportPath: own("saml"), Imports: []string{own("config")}}, "./saml imports ./config"},
		{"a leaf imports nothing of ours", listed{ImportPath: own("federation/secret"), Imports: []string{own("federation/fault")}}, "a leaf"},
		{"server never imports the store", listed{ImportPath: own("server/login"), Imports: []string{own("federation/store")}}, "never to its store"},
		{"a server's test may", listed{ImportPath: own("server/login"), XTestImports: []string{own("federation/store"), own("federation/store/bolt")}}, ""},
		{"only cmd chooses an engine", listed{ImportPath: own("federation/pool"), Imports: []string{own("federation/store/bolt")}}, "only cmd chooses"},
		{"cmd chooses an engine", listed{ImportPath: own("cmd/weir"), Imports: []string{own("federation/store/bolt"), own("server")}}, ""},
		{"the sample application knows nothing of Weir", listed{ImportPath: own("cmd/weir/demo"), Imports: []string{own("federation/secret")}}, "ordinary relying party"},
		{"a new package needs a row", listed{ImportPath: own("util"), Imports: []string{own("mapping")}}, "no row"},
		{"CEL elsewhere than in mapping", listed{ImportPath: own("federation/pool"), Imports: []string{"cel.dev/cel-go/cel"}}, "only ./mapping/..."},
		{"echo below server only", listed{ImportPath: own("federation"), Imports: []string{"github.com/labstack/echo/v4/middleware"}}, "only ./server/... may"},
		{"echo in tests too", listed{ImportPath: own("providers/oidc"), TestImports: []string{"github.com/labstack/echo/v4"}}, "the tests of ./providers/oidc"},
		{"a name that only begins alike is another", listed{ImportPath: own("mapping"), Imports: []string{"github.com/crewjamming/x"}}, ""},
		{"go-oidc in a test", listed{ImportPath: own("server/oauth"), XTestImports: []string{"github.com/coreos/go-oidc/v3/oidc"}}, ""},
		{"go-oidc in the server", listed{ImportPath: own("server/oauth"), Imports: []string{"github.com/coreos/go-oidc/v3/oidc"}}, "only ./providers/..."},
		{"the AWS SDK below the JSON API", listed{ImportPath: own("server/poolapi/sigv4"), Imports: []string{"github.com/aws/aws-sdk-go-v2/aws/signer/v4"}}, ""},
		{"the AWS SDK elsewhere in the server", listed{ImportPath: own("server/oauth"), Imports: []string{"github.com/aws/aws-sdk-go-v2/aws"}}, "only ./server/poolapi/..."},
		{"the AWS SDK in a test", listed{ImportPath: own("cmd/weir"), XTestImports: []string{"github.com/aws/aws-sdk-go-v2/aws"}}, ""},
		{"yaml below config only", listed{ImportPath: own("cmd/weir"), Imports: []string{"go.yaml.in/yaml/v3"}}, "one strict reader"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := importFaults([]listed{tt.pkg})
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("unexpected: %q", got)
			case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)):
				t.Errorf("got %q, want one fault with %q", got, tt.want)
			}
		})
	}
}

func TestImportsTablesGiveReasons(t *testing.T) {
	for _, l := range layers {
		if l.reason == "" {
			t.Errorf("layer %s: no reason", l.of)
		}
	}
	for _, o := range onlyBy {
		if o.reason == "" || len(o.by) == 0 && !o.tests {
			t.Errorf("%s: no owner or no reason", o.what)
		}
	}
}
