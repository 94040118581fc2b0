package harness

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWriteSection(t *testing.T) {
	const a, b, c = "# Results\n\n## A, old\n\n### part\n\ntext\n", "\n## B, old\n\n### part\n", "\n## C\n"
	for _, row := range []struct{ name, file, heading, want string }{
		{"middle", a + b + c, "## B", a + "\n## B\n\nnew\n" + c},
		{"last", a + b, "## B", a + "\n## B\n\nnew\n"},
		{"none", a, "## B", a + "\n## B\n\nnew\n"},
		{"first line", "## B\nold\n" + c, "## B", "## B\n\nnew\n" + c},
	} {
		path := filepath.Join(t.TempDir(), "file.md")
		if err := os.WriteFile(path, []byte(row.file), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time changes nothing
			if err := WriteSection(path, row.heading, row.heading+"\n\nnew\n\n"); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != row.want {
				t.Errorf("%s: %v\n%q, want\n%q", row.name, err, got, row.want)
			}
		}
	}
}
