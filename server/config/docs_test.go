package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the reference into docs/configuration.md")

const (
	docsFile = "../../docs/configuration.md"
	docsFrom = "<!-- made from server/config by: go test ./server/config -run TestDocs -update -->\n"
	docsTo   = "<!-- end of the made part -->\n"
)

// TestDocs compares the reference in docs/configuration.md with the comments, tags and defaults of the structs.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(page), docsFrom)
	have, after, ok2 := strings.Cut(rest, docsTo)
	if !ok1 || !ok2 {
		t.Fatalf("%s has lost its marks", docsFile)
	}
	want := reference(t)
	if *update {
		if err := os.WriteFile(docsFile, []byte(before+docsFrom+want+docsTo+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if have != want {
		t.Errorf("%s is not what the structs say; run: go test ./server/config -run TestDocs -update", docsFile)
	}
	for _, k := range keysOf(Default()) {
		if !strings.Contains(want, "`"+k.name+"`") || !strings.Contains(want, "`"+k.env()+"`") {
			t.Errorf("%s is not in the reference", k.name)
		}
	}
}

// reference returns the reference as Markdown.
func reference(t *testing.T) string {
	t.Helper()
	docs := fieldDocs(t)
	var out strings.Builder
	var lists []field
	var write func(title, prefix string, table reflect.Value, list string)
	write = func(title, prefix string, table reflect.Value, list string) { // list: the name of the list that it is an element of, with a dot
		fmt.Fprintf(&out, "\n### %s\n\n%s\n\n", title, docs[table.Type().Name()])
		fmt.Fprint(&out, "| key | default | meaning |\n|---|---|---|\n")
		var tables []field
		for f := range fieldsOf(table) {
			doc := docs[table.Type().Name()+"."+f.name]
			if doc == "" && f.value.Kind() != reflect.Struct {
				t.Errorf("%s%s has no comment", prefix, f.name)
			}
			names := "`" + prefix + f.name + "`"
			if list == "" {
				names += "<br>`" + field{name: prefix + f.name}.env() + "`"
			}
			switch {
			case f.value.Kind() == reflect.Struct:
				tables = append(tables, f)
			case isTables(f.value):
				f.name = prefix + f.name
				lists = append(lists, f)
			default:
				value := "`" + strings.ReplaceAll(formatTOML(f), "|", "\\|") + "`"
				if prefix == "" && table.Type() == reflect.TypeFor[EngineMode]() && f.name != "mode" {
					value = "as in `engine.defaults`"
				}
				if list == "" && effectOf(prefix+f.name) == EffectStart {
					doc += " *New start.*"
				}
				fmt.Fprintf(&out, "| %s | %s | %s |\n", names, value, strings.ReplaceAll(doc, "|", "\\|"))
			}
		}
		for _, f := range tables {
			write("`["+list+prefix+f.name+"]`", prefix+f.name+".", f.value, list)
		}
	}
	cfg := Default()
	write("In front of all tables", "", reflect.ValueOf(cfg).Elem(), "")
	for _, f := range lists {
		element, _ := appendDefault(f.value)
		write("`[["+f.name+"]]`", "", element, f.name+".")
	}
	writeRSProperties(&out)
	writeEServerKeys(&out)
	writeOptions(&out)
	fmt.Fprintf(&out, "\n### Options of rsoe\n\n```\n%s```\n", EnablerUsage)
	return out.String() + "\n"
}

// writeRSProperties writes the properties of an rs.config as Markdown: by section, those of the original first.
func writeRSProperties(out *strings.Builder) {
	fmt.Fprint(out, "\n### Properties of an rs.config\n\nThose that start with x_ are ours.\n\n| section | property | key | written as |\n|---|---|---|---|\n")
	elements := map[string]reflect.Value{
		"": reflect.ValueOf(Default()).Elem(), "server": reflect.ValueOf(DefaultRelayServer()), "farm": reflect.ValueOf(DefaultFarm()), "backend": reflect.ValueOf(DefaultBackend()),
	}
	for _, name := range []string{"options", "relay_server", "backend_farm", "backend_server"} {
		section := rsSections[name]
		properties := slices.Sorted(maps.Keys(section.properties))
		slices.SortStableFunc(properties, func(a, b string) int {
			ours := map[bool]int{true: 1}
			return ours[strings.HasPrefix(a, "x_")] - ours[strings.HasPrefix(b, "x_")]
		})
		for _, property := range properties {
			p := section.properties[property]
			key, written := "`"+p.field+"`", ""
			if section.tables != "" {
				key = "`relay." + section.tables + "." + p.field + "`"
			}
			f, ok := find(elements[section.tables], p.field)
			switch {
			case ok:
				written = writtenAs(f, property)
			case p.idle != "":
				key = "none: " + p.idle
			default:
				key, written = "see below", "`auto`, `no`, or a command"
			}
			fmt.Fprintf(out, "| `[%s]` | `%s` | %s | %s |\n", name, property, key, written)
		}
	}
}

// writtenAs tells how the value of a property is written.
func writtenAs(f field, property string) string {
	switch property {
	case "mac":
		return "one, or several with `!` between them"
	case "max_thread":
		return "a number, or `auto`"
	case "client_security":
		return "yes, no, `redirect`, or nothing"
	case "status_refresh_sec", "max_junction_idle_sec":
		return "seconds"
	}
	switch f.value.Interface().(type) {
	case bool:
		return "yes or no"
	case time.Duration:
		return "seconds, or as `1m30s`"
	case []string, []netip.Prefix:
		return "a list, with commas or blanks"
	}
	switch f.unit {
	case "bytes":
		return "a size, as `64k`"
	case "port":
		return "a port, or `off`"
	case "verbosity":
		return "0 to 5, `inherit` in a farm or a server"
	case "security":
		return "yes, no, or nothing"
	}
	if f.value.Kind() == reflect.String {
		return "a text"
	}
	return "a number"
}

// writeEServerKeys writes the keys of an eserver.cfg as Markdown.
func writeEServerKeys(out *strings.Builder) {
	fmt.Fprint(out, "\n### Keys of an eserver.cfg\n\n| key | sets | written as | by mode |\n|---|---|---|---|\n")
	written := map[esHow]string{
		esBool: "0 or 1", esNumber: "a whole number", esPercent: "percent", esList: "a list, `;` between entries", esRuns: "`procedure,application,user,password;...`",
	}
	for _, k := range esTable {
		sets, unit, byMode := "`"+k.field+"`", written[k.how], ""
		if u, ok := esUnits[k.how]; ok {
			unit = u.name
		}
		switch {
		case k.how == esNothing:
			sets = "no effect yet: a warning says so"
		case k.how == esRuns:
			sets = "`[[engine.run]]`, when = `" + k.field + "`"
		case k.field == "":
			sets = "see below"
		}
		if k.byMode {
			byMode = "yes"
		}
		fmt.Fprintf(out, "| `%s` | %s | %s | %s |\n", k.name, sets, unit, byMode)
	}
	fmt.Fprint(out, "| `Engine_NAME` | `[[engine.type]]`, its `command` | | |\n| `WebServerConnection_NAME` | no effect yet: a warning says so | | |\n")
}

// writeOptions writes the options of an rtserver.cm as Markdown.
func writeOptions(out *strings.Builder) {
	fmt.Fprint(out, "\n### Options of an rtserver.cm\n\nreal: seconds. A new value takes effect now, from the next start on, later (it is accepted and has no effect yet), or never (none).\n\n"+
		"| option | key | type | default | values | effect |\n|---|---|---|---|---|---|\n")
	for _, o := range Options() {
		kind := o.Type
		if o.Required {
			kind += ", required"
		}
		fmt.Fprintf(out, "| `%s` | `%s` | %s | `%s` | %s | %s |\n", o.Name, o.Key, kind, o.Default, o.Range, o.Effect)
	}
}

// fieldDocs returns the comments of the structs, by name, and of their fields, by Struct.key.
func fieldDocs(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	for _, file := range []string{"config.go", "farm.go", "engine.go", "router.go", "access.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range parsed.Decls {
			general, ok := decl.(*ast.GenDecl)
			if !ok || general.Tok != token.TYPE {
				continue
			}
			spec := general.Specs[0].(*ast.TypeSpec)
			docs[spec.Name.Name] = oneLine(general.Doc)
			if structure, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range structure.Fields.List {
					tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
					docs[spec.Name.Name+"."+tag.Get("toml")] = oneLine(f.Doc)
				}
			}
		}
	}
	docs["Config"] = "These stand before the first `[table]` of a file."
	return docs
}

func oneLine(doc *ast.CommentGroup) string {
	return strings.Join(strings.Fields(doc.Text()), " ")
}
