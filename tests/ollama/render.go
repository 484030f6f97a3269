// Reads Modelfiles with Ollama's own parser and renders conversations with its own templates: a JSON object per line,
// {"folder", "conversations": [[{"role", "content"}]]}, gives {"from", "adapters", "template", "system", "license",
// "parameters", "rendered"}, or {"error"}. Built by tests/ollama/run.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/ollama/ollama/api"
	"github.com/ollama/ollama/parser"
	"github.com/ollama/ollama/template"
)

type request struct {
	Folder        string          `json:"folder"`
	Conversations [][]api.Message `json:"conversations"`
}

type answer struct {
	Files      int            `json:"files"`
	Adapters   int            `json:"adapters"`
	Template   string         `json:"template"`
	System     string         `json:"system"`
	License    any            `json:"license"`
	Parameters map[string]any `json:"parameters"`
	Rendered   []string       `json:"rendered"`
}

func read(asked request) (*answer, error) {
	file, err := os.Open(filepath.Join(asked.Folder, "Modelfile"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	modelfile, err := parser.ParseFile(file)
	if err != nil {
		return nil, err
	}
	made, err := modelfile.CreateRequest(asked.Folder)
	if err != nil {
		return nil, err
	}
	parsed, err := template.Parse(made.Template)
	if err != nil {
		return nil, err
	}
	found := &answer{
		Files: len(made.Files), Adapters: len(made.Adapters), Template: made.Template, System: made.System,
		License: made.License, Parameters: made.Parameters, Rendered: []string{},
	}
	for _, conversation := range asked.Conversations {
		var text bytes.Buffer
		if err := parsed.Execute(&text, template.Values{Messages: conversation}); err != nil {
			return nil, err
		}
		found.Rendered = append(found.Rendered, text.String())
	}
	return found, nil
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var asked request
			if err := json.Unmarshal(line, &asked); err != nil {
				panic(err)
			}
			if found, err := read(asked); err != nil {
				out.Encode(map[string]string{"error": err.Error()})
			} else {
				out.Encode(found)
			}
		}
		if err != nil {
			return
		}
	}
}
