package config

import (
	"errors"
	"reflect"
	"strings"

	"github.com/weir-id/weir/federation/secret"
)

// The kinds of store.
const (
	StoreBolt    = "bolt"
	StoreMongoDB = "mongodb"
)

// Store is the address of a store.
type Store struct {
	Kind string      // StoreBolt or StoreMongoDB
	Path string      // of bolt: the file
	URI  secret.Text // of mongodb: the connection string, which may hold a password
}

var storeType = reflect.TypeFor[Store]()

// ParseStore reads the address of a store, bolt:PATH or mongodb://…; a relative path stays one. Its error never quotes the address, which
// may hold a password, and is meant for whoever wrote it.
func ParseStore(s string) (Store, error) {
	scheme, rest, _ := strings.Cut(s, ":")
	switch {
	case scheme == "bolt" && rest == "":
		return Store{}, errors.New("want bolt:PATH, the path is missing")
	case scheme == "bolt":
		return Store{Kind: StoreBolt, Path: rest}, nil
	case (scheme == "mongodb" || scheme == "mongodb+srv") && len(rest) > 2 && strings.HasPrefix(rest, "//"):
		// The rest is the driver's to judge: net/url refuses its lists of hosts.
		return Store{Kind: StoreMongoDB, URI: secret.New(s)}, nil
	}
	return Store{}, errors.New("want bolt:PATH, mongodb://… or mongodb+srv://…")
}

// String is the address as it may be shown: of a connection string the scheme, the hosts and the database.
func (s Store) String() string {
	if s.Kind != StoreMongoDB {
		return s.Kind + ":" + s.Path
	}
	scheme, rest, _ := strings.Cut(s.URI.Reveal(), "://")
	place, options, _ := strings.Cut(rest, "?")
	if strings.Contains(options, "@") { // the end of a password with a ? in it, for all one can tell
		return scheme + "://…"
	}
	return scheme + "://" + place[strings.LastIndexByte(place, '@')+1:]
}
