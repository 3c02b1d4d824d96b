package store

import (
	"fmt"
	"strings"
)

// Check returns an error that wraps ErrInvalid where d or kind breaks a rule written on Doc.
// Every engine calls it first in Put, so that a document which one engine takes, all take.
func (d Doc) Check(kind string) error {
	if err := checkName("kind", kind); err != nil {
		return err
	}
	if err := checkName("key", d.Key); err != nil {
		return err
	}
	if len(d.Body) > MaxBody {
		return fmt.Errorf("%w: body of %d bytes, at most %d", ErrInvalid, len(d.Body), MaxBody)
	}
	if n := len(d.Unique) + len(d.Index); n > MaxNames {
		return fmt.Errorf("%w: %d unique values and index entries, at most %d", ErrInvalid, n, MaxNames)
	}
	for _, u := range d.Unique {
		if err := checkName("unique value", u); err != nil {
			return err
		}
	}
	seen := make(map[string]struct{}, len(d.Index)) // there may be many, and every write comes by here
	for _, e := range d.Index {
		if err := checkName("index entry", e); err != nil {
			return err
		}
		name := indexName(e)
		if name == "" {
			return fmt.Errorf("%w: index entry without a name and a colon", ErrInvalid)
		}
		if _, twice := seen[name]; twice {
			return fmt.Errorf("%w: two index entries of the name %s", ErrInvalid, name)
		}
		seen[name] = struct{}{}
	}
	return nil
}

// CheckList returns an error that wraps ErrInvalid where the arguments of Engine.List break a
// rule: a limit out of range, an index without its name and colon, or a cursor of another index.
func CheckList(index, after string, limit int) error {
	if limit < 1 || limit > MaxList {
		return fmt.Errorf("%w: limit %d, want 1 to %d", ErrInvalid, limit, MaxList)
	}
	if index != "" && indexName(index) == "" {
		return fmt.Errorf("%w: index without a name and a colon", ErrInvalid)
	}
	if after == "" {
		return nil
	}
	key := after
	if index != "" {
		entry, rest, ok := strings.Cut(after, "\x00")
		if !ok || !strings.HasPrefix(entry, index) || len(entry) > MaxKey {
			return fmt.Errorf("%w: cursor of another index", ErrInvalid)
		}
		key = rest
	}
	return checkName("cursor", key)
}

// checkName never quotes s: keys and values can be personal data.
func checkName(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: empty %s", ErrInvalid, what)
	case len(s) > MaxKey:
		return fmt.Errorf("%w: %s of %d bytes, at most %d", ErrInvalid, what, len(s), MaxKey)
	case strings.IndexByte(s, 0) >= 0:
		return fmt.Errorf("%w: NUL byte in %s", ErrInvalid, what)
	}
	return nil
}

// indexName returns the name of an entry name:value, "" where it has none.
func indexName(entry string) string {
	name, _, ok := strings.Cut(entry, ":")
	if !ok {
		return ""
	}
	return name
}
