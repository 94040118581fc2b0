package harness

import (
	"fmt"
	"os"
	"strings"
)

// WriteSection replaces the section of a Markdown file that begins with heading, "## Name", by text, which begins with it too; a file
// without that section gets it at its end. A heading in the file may go on, with a date for example.
func WriteSection(path, heading, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("harness: %w", err)
	}
	if err := os.WriteFile(path, []byte(replaceSection(string(old), heading, text)), 0o644); err != nil {
		return fmt.Errorf("harness: %w", err)
	}
	return nil
}

func replaceSection(file, heading, text string) string {
	text = strings.TrimRight(text, "\n") + "\n"
	begin := strings.Index("\n"+file, "\n"+heading)
	if begin < 0 {
		return strings.TrimRight(file, "\n") + "\n\n" + text
	}
	end := strings.Index(file[begin+len(heading):], "\n## ")
	if end < 0 {
		return file[:begin] + text
	}
	return file[:begin] + text + file[begin+len(heading)+end:]
}
