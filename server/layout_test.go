package server_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "roundhouse"

	maxFileLines     = 800
	askFileLines     = 500 // a second reader is asked
	maxFuncLines     = 100
	longFuncLines    = 60
	maxLongFuncShare = 0.03 // of all functions
	maxStructFields  = 25
	maxTypeMethods   = 30
)

// topLevel has every name that may stand in the root; hidden ones may too.
var topLevel = []string{
	"server", "codec", "routing", "enginepool", "cmd", "bench", "fuzz", "docs", "client",
	"go.mod", "go.sum", "Makefile", "README.md", "LICENSE",
	"bin", // made by the Makefile, ignored by git
}

// doors never import each other; server plugs them together.
var doors = []string{"relay", "router", "engine", "outbound", "mesh", "admin"}

// pure packages are tested without a socket: see pureImport.
var (
	pure    = []string{"codec", "routing", "enginepool"}
	notPure = []string{"enginepool/proc", "enginepool/sdk"}
)

// source is one Go file.
type source struct {
	path   string // from the root, with slashes
	lines  int
	syntax *ast.File
}

func (s source) dir() string  { return path.Dir(s.path) }
func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// imports returns the paths that the file imports.
func (s source) imports() []string {
	var all []string
	for _, spec := range s.syntax.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value) // the parser has seen that it is a string
		all = append(all, imported)
	}
	return all
}

// tree is the whole module.
type tree struct {
	set     *token.FileSet
	sources []source
}

// line returns file:line of a node.
func (tr *tree) line(n ast.Node) string {
	at := tr.set.Position(n.Pos())
	return fmt.Sprintf("%s:%d", at.Filename, at.Line)
}

func (tr *tree) linesOf(n ast.Node) int {
	return tr.set.Position(n.End()).Line - tr.set.Position(n.Pos()).Line + 1
}

// code returns the files that are no tests.
func (tr *tree) code() []source {
	return slices.DeleteFunc(slices.Clone(tr.sources), source.isTest)
}

func readTree(t *testing.T) *tree {
	t.Helper()
	tr := &tree{set: token.NewFileSet()}
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || name == "bin" || name == "bench/out"):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(tr.set, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		tr.sources = append(tr.sources, source{name, strings.Count(string(text), "\n"), syntax})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// TestLayout checks those rules of the project that a program can check. Each offender is one line of the output.
func TestLayout(t *testing.T) {
	tr := readTree(t)
	if len(tr.sources) < 10 {
		t.Fatalf("%d Go files: this is not the module", len(tr.sources))
	}
	for name, rule := range map[string]func(*testing.T, *tree){
		"top level": checkTopLevel,
		"imports":   checkImports,
		"pure":      checkPure,
		"files":     checkFiles,
		"functions": checkFunctions,
		"types":     checkTypes,
		"packages":  checkPackages,
		"sleep":     checkSleep,
	} {
		t.Run(name, func(t *testing.T) { rule(t, tr) })
	}
}

func checkTopLevel(t *testing.T, _ *tree) {
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s: the root holds only %s", e.Name(), strings.Join(topLevel, ", "))
		}
	}
}

// rank orders the packages: an import never goes to a higher rank. door is not empty for a door and the packages in it.
func rank(dir string) (n int, door string) {
	first, rest, _ := strings.Cut(dir, "/")
	second, _, _ := strings.Cut(rest, "/")
	switch {
	case first == "codec":
		return 0, ""
	case first == "routing" || first == "enginepool":
		return 1, ""
	case first == "server" && slices.Contains(doors, second):
		return 3, second
	case first == "server" && second != "": // loop, access, config: what doors share
		return 2, ""
	case first == "server":
		return 4, ""
	default: // cmd, bench, fuzz, client
		return 5, ""
	}
}

func checkImports(t *testing.T, tr *tree) {
	for _, s := range tr.code() {
		from, fromDoor := rank(s.dir())
		for _, imported := range s.imports() {
			if strings.Contains(imported, "/gnet/") && s.dir() != "server/loop" {
				t.Errorf("%s: imports %s: only server/loop does", s.path, imported)
			}
			dir, ours := strings.CutPrefix(imported, module+"/")
			if !ours {
				continue
			}
			to, toDoor := rank(dir)
			if to > from {
				t.Errorf("%s: imports %s, which is above it: cmd -> server -> doors -> loop, access, config -> routing, enginepool -> codec", s.path, imported)
			}
			if fromDoor != "" && toDoor != "" && fromDoor != toDoor {
				t.Errorf("%s: imports %s: a door never imports another door", s.path, imported)
			}
		}
	}
}

func checkPure(t *testing.T, tr *tree) {
	for _, s := range tr.code() {
		if !within(s.dir(), pure) || within(s.dir(), notPure) {
			continue
		}
		for _, imported := range s.imports() {
			if !pureImport(imported) {
				t.Errorf("%s: imports %s: no network, file, process or lock below server", s.path, imported)
			}
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			if call := selector(n, "time"); slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}, call) {
				t.Errorf("%s: time.%s: time is an argument below server", tr.line(n), call)
			}
			return true
		})
	}
}

// pureImport tells whether a package without I/O may import p.
func pureImport(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	switch p {
	case "net/netip", "net/url", "sync/atomic": // values, and the publication of a snapshot
		return true
	}
	return first != "net" && first != "os" && first != "sync" && first != "syscall" && !strings.Contains(p, "gnet")
}

// within tells whether dir is one of the roots or below one.
func within(dir string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return dir == root || strings.HasPrefix(dir, root+"/") })
}

// selector returns the name that n selects from a package, as Now of time.Now, or "".
func selector(n ast.Node, pkg string) string {
	if s, ok := n.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
			return s.Sel.Name
		}
	}
	return ""
}

func checkFiles(t *testing.T, tr *tree) {
	for _, s := range tr.code() {
		switch {
		case s.lines > maxFileLines:
			t.Errorf("%s: %d lines, at most %d: split it by a part of life with rules of its own", s.path, s.lines, maxFileLines)
		case s.lines > askFileLines:
			t.Logf("%s: %d lines: above %d ask a second reader", s.path, s.lines, askFileLines)
		}
	}
}

func checkFunctions(t *testing.T, tr *tree) {
	var all int
	var long []string
	for _, s := range tr.code() {
		for _, decl := range s.syntax.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			all++
			n := tr.linesOf(f)
			if n > longFuncLines {
				long = append(long, fmt.Sprintf("%s: %s has %d lines", tr.line(f), f.Name.Name, n))
			}
			if n > maxFuncLines {
				t.Errorf("%s: %s has %d lines, at most %d", tr.line(f), f.Name.Name, n, maxFuncLines)
			}
		}
	}
	if float64(len(long)) > maxLongFuncShare*float64(all) {
		t.Errorf("%d of %d functions have more than %d lines, at most %.0f in 100 may:\n%s",
			len(long), all, longFuncLines, 100*maxLongFuncShare, strings.Join(long, "\n"))
	}
}

func checkTypes(t *testing.T, tr *tree) {
	fields, methods := map[string]int{}, map[string]int{} // by directory and type
	for _, s := range tr.code() {
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv != nil {
					methods[s.dir()+"."+receiver(n.Recv.List[0].Type)]++
				}
			case *ast.TypeSpec:
				if structure, ok := n.Type.(*ast.StructType); ok {
					fields[s.dir()+"."+n.Name.Name] = structFields(structure)
				}
			}
			return true
		})
	}
	for name, n := range fields {
		if n > maxStructFields {
			t.Errorf("%s has %d fields, at most %d: split it by a part of life with rules of its own", name, n, maxStructFields)
		}
	}
	for name, n := range methods {
		if n > maxTypeMethods {
			t.Errorf("%s has %d methods, at most %d: split it by a part of life with rules of its own", name, n, maxTypeMethods)
		}
	}
}

// receiver returns the name of the type that a method belongs to.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return "?"
}

func structFields(s *ast.StructType) (n int) {
	for _, f := range s.Fields.List {
		n += max(1, len(f.Names)) // an embedded one has no name
	}
	return n
}

func checkPackages(t *testing.T, tr *tree) {
	documented := map[string]bool{}
	for _, s := range tr.code() {
		documented[s.dir()] = documented[s.dir()] || s.syntax.Doc != nil
		for _, name := range []string{s.syntax.Name.Name, path.Base(s.dir())} {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types", "misc"}, name) {
				t.Errorf("%s: package %s: name it after what it holds", s.path, name)
			}
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: no package comment in any file", filepath.FromSlash(dir))
		}
	}
}

func checkSleep(t *testing.T, tr *tree) {
	for _, s := range tr.sources {
		if !s.isTest() {
			continue
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			if selector(n, "time") == "Sleep" {
				t.Errorf("%s: time.Sleep in a test: wait for a condition instead", tr.line(n))
			}
			return true
		})
	}
}
