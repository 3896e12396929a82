// Answers template cases with Go's text/template and Sprig, so that tests can compare ours with the originals.
//
// Standard input is a file of cases as in tests/fixtures/go-template; standard output is the same file with answers.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"github.com/gosimple/slug"
	"sigs.k8s.io/yaml"
)

// A group of cases over the same data.
type group struct {
	// What the cases are for.
	Name string `json:"name"`
	// "strings": every value of data is a string and dot is a map[string]string, as in SealedSecrets; "json": dot is what JSON
	// decodes to, as in ApplicationSets, and Argo CD's functions are there.
	Dot        string         `json:"dot"`
	MissingKey string         `json:"missingkey,omitempty"`
	Data       map[string]any `json:"data,omitempty"`
	Cases      []testCase     `json:"cases"`
}

type testCase struct {
	Template string  `json:"template"`
	Expected *string `json:"expected,omitempty"`
	// Bytes that are no UTF-8 do not survive in JSON.
	ExpectedHex *string `json:"expectedHex,omitempty"`
	Error       *string `json:"error,omitempty"`
}

func main() {
	var groups []group
	if err := json.NewDecoder(os.Stdin).Decode(&groups); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for i := range groups {
		for j := range groups[i].Cases {
			answer(&groups[i], &groups[i].Cases[j])
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(groups); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer(g *group, c *testCase) {
	c.Expected, c.ExpectedHex, c.Error = nil, nil, nil
	var out bytes.Buffer
	err := render(g, c.Template, &out)
	switch text := out.String(); {
	case err != nil:
		message := err.Error()
		c.Error = &message
	case strings.ToValidUTF8(text, "") != text:
		hex := fmt.Sprintf("%x", text)
		c.ExpectedHex = &hex
	default:
		c.Expected = &text
	}
}

func render(g *group, text string, out *bytes.Buffer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	functions := sprig.GenericFuncMap()
	for _, name := range []string{"env", "expandenv", "getHostByName"} {
		delete(functions, name)
	}
	var dot any = g.Data
	if g.Dot == "json" {
		for name, function := range argo {
			functions[name] = function
		}
	} else {
		texts := map[string]string{}
		for key, value := range g.Data {
			texts[key] = value.(string)
		}
		dot = texts
	}
	t := template.New("t").Funcs(functions)
	if g.MissingKey != "" {
		t = t.Option("missingkey=" + g.MissingKey)
	}
	if t, err = t.Parse(text); err != nil {
		return err
	}
	return t.Execute(out, dot)
}

// Argo CD's functions by their documented behaviour, on the libraries that it uses.
var argo = map[string]any{
	"normalize": normalize,
	"slugify": func(arguments ...any) string {
		length, words, text := 50, true, ""
		for i, argument := range arguments {
			switch argument := argument.(type) {
			case int:
				length = argument
			case bool:
				words = argument
			case string:
				if i == len(arguments)-1 {
					text = argument
				}
			default:
				panic(fmt.Sprintf("slugify takes no %T", argument))
			}
		}
		slug.EnableSmartTruncate = words
		slug.MaxLength = length
		return slug.Make(normalize(text))
	},
	"toYaml": func(value any) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	},
	"fromYaml": func(text string) (map[string]any, error) {
		value := map[string]any{}
		err := yaml.Unmarshal([]byte(text), &value)
		return value, err
	},
	"fromYamlArray": func(text string) ([]any, error) {
		value := []any{}
		err := yaml.Unmarshal([]byte(text), &value)
		return value, err
	},
}

var notAllowed = regexp.MustCompile(`[^-a-z0-9.]`)

func normalize(name string) string {
	name = notAllowed.ReplaceAllString(strings.ToLower(name), "-")
	if len(name) > 253 {
		name = name[:253]
	}
	return strings.Trim(name, "-.")
}
