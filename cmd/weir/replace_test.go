package main_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// putInPlace are the files that put a value in the place of another that owes nothing to it, with the reason. Everything else that was read and changed
// goes back with Kind.Replace or Kind.Update, so that nothing is lost that a newer release has written (docs/decisions/0034-unknown-members.md).
var putInPlace = map[string]string{
	"federation/assertion/keep.go":    "another assertion in the slot; and who redacts one keeps nothing of it unseen",
	"federation/once/once.go":         "what a provider says once is kept as it said it last",
	"federation/pool/lifecycle.go":    "the pool's document ends with that write",
	"federation/pool/password.go":     "a new temporary password",
	"federation/samlsp/copies.go":     "another document was fetched",
	"federation/trace/batch.go":       "other traces in the slots",
	"federation/trace/keep.go":        "another trace in the slot",
	"federation/upstream/upstream.go": "the tokens of a new sign-in",
}

func TestHouseChangesAreNotPut(t *testing.T) {
	faults, used, err := putFaults(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Error(f)
	}
	for file := range putInPlace {
		if !slices.Contains(used, file) {
			t.Errorf("%s puts nothing in the place of another: take it out of the table", file)
		}
	}
}

// putFaults finds calls Put(ctx, value, version) of another version than 0, and which of the excused files have one.
func putFaults(root fs.FS) (faults, used []string, err error) {
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "bin", "e2e", "federation/store"}, name) {
			return fs.SkipDir
		}
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		body, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, body, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 3 {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Put" || !versioned(call.Args[2]) {
				return true
			}
			if _, ok := putInPlace[name]; ok {
				used = append(used, name)
			} else {
				faults = append(faults, fmt.Sprintf("%s: Put of a version that was read: use Replace or Update", files.Position(call.Pos())))
			}
			return true
		})
		return nil
	})
	return faults, used, err
}

// versioned reports whether an argument is a version that was read: x.Version, or a variable called so.
func versioned(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return strings.EqualFold(e.Sel.Name, "version")
	case *ast.Ident:
		return strings.EqualFold(e.Name, "version")
	}
	return false
}

func TestHousePutCheckerFindsIt(t *testing.T) {
	root := fstest.MapFS{
		"federation/a.go":          {Data: []byte("package a\nfunc f() { k.Put(ctx, &v, 0); k.Put(ctx, &v, e.Version); k().Put(ctx, v, version); m.Put(ctx, kind, d) }\n")},
		"federation/store/b.go":    {Data: []byte("package b\nfunc f() { k.Put(ctx, &v, e.Version) }\n")},
		"federation/once/once.go":  {Data: []byte("package once\nfunc f() { k.Put(ctx, &v, version) }\n")},
		"federation/a_test.go":     {Data: []byte("package a\nfunc f() { k.Put(ctx, &v, e.Version) }\n")},
		"e2e/node_modules/x/x.txt": {Data: []byte("k.Put(ctx, &v, e.Version)")},
	}
	faults, used, err := putFaults(root)
	if err != nil || len(faults) != 2 || !strings.HasPrefix(faults[0], "federation/a.go:2:31:") || !slices.Equal(used, []string{"federation/once/once.go"}) {
		t.Errorf("found %q, excused %q, %v", faults, used, err)
	}
}
