package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"go.yaml.in/yaml/v3"

	"github.com/weir-id/weir/federation/secret"
)

const needle = "Zq7-needle-uX2"

// traces are the forms in which the needle could appear.
var traces = []string{
	needle,
	fmt.Sprintf("%x", needle),
	fmt.Sprintf("%X", needle),
	fmt.Sprintf("% x", needle),
	fmt.Sprintf("% X", needle),
	strings.Trim(fmt.Sprint([]byte(needle)), "[]"),
	base64.RawStdEncoding.EncodeToString([]byte(needle)),
	needle[:3], // a precision cuts
}

func leaks(t *testing.T, how, out string) {
	t.Helper()
	for _, s := range traces {
		if strings.Contains(out, s) {
			t.Errorf("%s leaks the secret: %s", how, out)
			return
		}
	}
}

type exported struct {
	Name   string
	Secret secret.Text
}

type unexported struct {
	Name   string
	secret secret.Text
}

type embedded struct{ secret.Text }

type deep struct {
	Inner  *exported
	inner  *unexported
	List   []exported
	Map    map[string]unexported
	Any    any
	secret *secret.Text
}

type failing struct{ cause secret.Text }

func (f failing) Error() string {
	return fmt.Sprintf("failed with %v and %+v", f.cause, struct{ s secret.Text }{f.cause})
}

func shapes() map[string]any {
	s := secret.New(needle)
	e, u := exported{"n", s}, unexported{"n", s}
	return map[string]any{
		"the value":                  s,
		"a pointer":                  &s,
		"an exported field":          e,
		"an unexported field":        u,
		"a pointer to a struct":      &e,
		"a pointer to an unexported": &u,
		"an embedded value":          embedded{s},
		"a slice":                    []secret.Text{s},
		"a slice of any":             []any{s, &s, e, u},
		"an array":                   [1]secret.Text{s},
		"a map value":                map[string]secret.Text{"k": s},
		"a map key":                  map[secret.Text]string{s: "v"},
		"a deep struct":              deep{&e, &u, []exported{e}, map[string]unexported{"k": u}, s, &s},
		"an anonymous struct":        struct{ a, B any }{s, u},
		"an error":                   failing{s},
		"a wrapped error":            fmt.Errorf("outer %v: %w", s, failing{s}),
		"a joined error":             errors.Join(failing{s}, fmt.Errorf("%s", s)),
	}
}

func TestNoVerbPrintsASecret(t *testing.T) {
	const flags = "+-# 0"
	for name, v := range shapes() {
		for verb := 'A'; verb <= 'z'; verb++ {
			for set := range 1 << len(flags) {
				format := "%"
				for i, f := range flags {
					if set&(1<<i) != 0 {
						format += string(f)
					}
				}
				for _, width := range []string{"", "3", "40", ".3", "40.20"} {
					f := format + width + string(verb)
					leaks(t, name+" under "+f, fmt.Sprintf(f, v))
				}
			}
			if t.Failed() {
				return
			}
		}
		leaks(t, name+" under Sprint", fmt.Sprint(v))
		leaks(t, name+" under Sprintln", fmt.Sprintln(v))
		for _, misused := range []string{"%w", "%!d", "%[9]v", "%*d", "%d %d"} {
			leaks(t, name+" under "+misused, fmt.Errorf(misused, v).Error())
			leaks(t, name+" under "+misused, fmt.Sprintf(misused, v))
		}
	}
}

func TestNoLoggerPrintsASecret(t *testing.T) {
	for name, v := range shapes() {
		for kind, handler := range map[string]func(io.Writer) slog.Handler{
			"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
			"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		} {
			var out bytes.Buffer
			l := slog.New(handler(&out))
			l.With(slog.Any("with", v)).WithGroup("g").Info("message", slog.Any("v", v), slog.Group("group", slog.Any("in", v)))
			leaks(t, name+" under slog "+kind, out.String())
			if !strings.Contains(out.String(), "message") {
				t.Errorf("%s under slog %s: nothing logged", name, kind)
			}
		}
	}
}

func TestNoMarshallerWritesASecret(t *testing.T) {
	marshal := map[string]func(v any) ([]byte, error){
		"json": json.Marshal,
		"yaml": yaml.Marshal,
		"xml":  xml.Marshal,
		"gob": func(v any) ([]byte, error) {
			var out bytes.Buffer
			err := gob.NewEncoder(&out).Encode(v)
			return out.Bytes(), err
		},
		"text/template": func(v any) ([]byte, error) {
			var out bytes.Buffer
			err := template.Must(template.New("").Parse(`{{.}} {{printf "%v %q" . .}} {{print .}} {{html .}} {{js .}}`)).Execute(&out, v)
			return out.Bytes(), err
		},
		"html/template": func(v any) ([]byte, error) {
			var out bytes.Buffer
			err := htmltemplate.Must(htmltemplate.New("").Parse(`<p title="{{.}}">{{.}}</p><script>let x = {{.}}</script>`)).Execute(&out, v)
			return out.Bytes(), err
		},
	}
	for name, v := range shapes() {
		for how, f := range marshal {
			out, err := f(v)
			leaks(t, name+" under "+how, string(out))
			leaks(t, name+" under "+how+" (error)", fmt.Sprint(err))
		}
	}
	for _, how := range []string{"json", "yaml", "xml", "gob"} { // an error, and not silence, where a secret is to be stored
		if _, err := marshal[how](exported{"n", secret.New(needle)}); err == nil || !strings.Contains(err.Error(), secret.ErrMarshal.Error()) {
			t.Errorf("%s: error %v, want %v", how, err, secret.ErrMarshal)
		}
	}
	type attribute struct {
		A secret.Text `xml:",attr"`
	}
	if _, err := xml.Marshal(attribute{secret.New(needle)}); !errors.Is(err, secret.ErrMarshal) {
		t.Errorf("xml attribute: error %v", err)
	}
}

func TestASecretIsShownAsSuch(t *testing.T) {
	for _, s := range []secret.Text{secret.New(needle), secret.New("")} { // nor whether there is one
		for _, f := range []string{"%v", "%s", "%+v", "%#v", "%q", "%x", "%d", "%50s"} {
			if got := fmt.Sprintf(f, s); got != "[secret]" {
				t.Errorf("%s prints %q", f, got)
			}
		}
	}
}

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		secret, given string
		want          bool
	}{
		{"s", "s", true}, {"s", "t", false}, {"s", "", false}, {"s", "ss", false}, {"", "", false}, {"", "s", false},
	} {
		if got := secret.New(c.secret).Equal(c.given); got != c.want {
			t.Errorf("secret %q equals %q: %v", c.secret, c.given, got)
		}
	}
	var zero secret.Text
	if zero.Equal("") || !zero.IsZero() || zero.Reveal() != "" || !secret.New("").IsZero() {
		t.Error("the zero secret is not empty")
	}
	if s := secret.New(needle); s.Reveal() != needle || s.IsZero() {
		t.Error("a secret is not what it was made of")
	}
}
