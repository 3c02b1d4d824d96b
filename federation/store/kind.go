package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/weir-id/weir/federation/secret"
)

// Keys are the engine-visible parts of a value: see Doc.
type Keys struct {
	Key     string
	Unique  []string
	Index   []string
	Expires time.Time
}

// Entry is a stored value with its version. As it was read, it also has what Replace needs to keep the members that this release does not know.
type Entry[T any] struct {
	Value   T
	Version uint64

	read *origin
}

// Upgrade turns the JSON of one schema number into the JSON of the next.
type Upgrade func(old json.RawMessage) (json.RawMessage, error)

// Stored is implemented (on the pointer) by values whose JSON form must differ from their
// stored form, because they hold a secret.Text. Such a kind needs a Ring.
type Stored interface {
	MarshalStored() ([]byte, error)
	UnmarshalStored([]byte) error
	// StoredForm returns any value of the struct that the stored form is the JSON of. Its members are those that this release knows.
	StoredForm() any
}

// Kind is the typed face of one kind of document in an Engine.
//
// Bodies carry the kind's schema number, which is 1 plus the number of Upgrades;
// older ones are upgraded when they are read. With a Ring the whole body is
// sealed and bound to kind and key, so that a document cannot be moved to
// another key by whoever can write to the store.
type Kind[T any] struct {
	Engine   Engine
	Name     string        // the kind's name in the engine; never changes
	KeysOf   func(*T) Keys // pure
	Upgrades []Upgrade     // from schema i+1 to i+2
	Ring     *secret.Ring  // nil: bodies are plain JSON
}

type envelope struct {
	Schema int             `json:"v"`
	Data   json.RawMessage `json:"d"`
}

// Get returns the value of that key. Errors: ErrNotFound and what decoding finds.
func (k *Kind[T]) Get(ctx context.Context, key string) (Entry[T], error) {
	return k.decode(k.Engine.Get(ctx, k.Name, key))
}

// GetBy returns the value that holds the unique value. Errors: ErrNotFound.
func (k *Kind[T]) GetBy(ctx context.Context, unique string) (Entry[T], error) {
	return k.decode(k.Engine.GetBy(ctx, k.Name, unique))
}

// Put creates the value (version 0) or puts it in the place of that version, and returns the new version. It is for a value that owes nothing to
// the one before; for what was read and changed there are Replace and Update.
// Errors: ErrConflict, ErrTaken, ErrInvalid.
func (k *Kind[T]) Put(ctx context.Context, v *T, version uint64) (uint64, error) {
	e, err := k.Replace(ctx, Entry[T]{Version: version}, v)
	return e.Version, err
}

// Replace writes v in the place of old, as it was read, and returns it as it is stored now. Members of the JSON that this release does not know stay: a newer
// node wrote them. Of an old that was not read (version 0) it creates v. Errors: ErrConflict, ErrTaken, ErrInvalid.
func (k *Kind[T]) Replace(ctx context.Context, old Entry[T], v *T) (Entry[T], error) {
	d, read, err := k.encode(v, old.read)
	if err != nil {
		return Entry[T]{}, err
	}
	d.Version = old.Version
	version, err := k.Engine.Put(ctx, k.Name, d)
	if err != nil {
		return Entry[T]{}, err
	}
	return Entry[T]{Value: *v, Version: version, read: read}, nil
}

// Take removes the value and returns it to exactly one caller. Errors: ErrNotFound.
func (k *Kind[T]) Take(ctx context.Context, key string) (Entry[T], error) {
	return k.decode(k.Engine.Take(ctx, k.Name, key))
}

// Delete removes the value if it is there.
func (k *Kind[T]) Delete(ctx context.Context, key string) error {
	return k.Engine.Delete(ctx, k.Name, key)
}

// List returns a page of values and the cursor of the next page, "" at the end.
func (k *Kind[T]) List(ctx context.Context, index, after string, limit int) ([]Entry[T], string, error) {
	docs, err := k.Engine.List(ctx, k.Name, index, after, limit)
	if err != nil {
		return nil, "", err
	}
	out := make([]Entry[T], 0, len(docs))
	for _, d := range docs {
		e, err := k.decode(d, nil)
		if err != nil {
			return nil, "", err
		}
		out = append(out, e)
	}
	if len(docs) < limit {
		return out, "", nil
	}
	return out, Cursor(docs[len(docs)-1], index), nil
}

// All calls f for every value under index, page by page, until f returns an error.
func (k *Kind[T]) All(ctx context.Context, index string, f func(Entry[T]) error) error {
	for after := ""; ; {
		page, next, err := k.List(ctx, index, after, 200)
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := f(e); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		after = next
	}
}

// maxUpdates bounds the retries of Update: each lost round means that another writer won one.
const maxUpdates = 64

// Update reads the value, lets change alter it and writes it back as Replace does, again from the
// start when another writer came between. change is called once per round and may return an error to stop;
// ErrUnchanged stops without a write and without an error.
func (k *Kind[T]) Update(ctx context.Context, key string, change func(*T) error) (Entry[T], error) {
	for range maxUpdates {
		e, err := k.Get(ctx, key)
		if err != nil {
			return e, err
		}
		if err := change(&e.Value); errors.Is(err, ErrUnchanged) {
			return e, nil
		} else if err != nil {
			return e, err
		}
		next, err := k.Replace(ctx, e, &e.Value)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return Entry[T]{Value: e.Value}, err
		}
		return next, nil
	}
	return Entry[T]{}, fmt.Errorf("update %s: %d rounds lost to other writers: %w", k.Name, maxUpdates, ErrConflict)
}

// ErrUnchanged is returned by Update's callback when there is nothing to write.
var ErrUnchanged = errors.New("unchanged")

// encode returns v as it is stored, and its JSON. read is what the value was read from, if it was.
func (k *Kind[T]) encode(v *T, read *origin) (Doc, *origin, error) {
	keys := k.KeysOf(v)
	d := Doc{Key: keys.Key, Unique: keys.Unique, Index: keys.Index, Expires: keys.Expires}
	var data []byte
	var err error
	if s, ok := any(v).(Stored); ok {
		if k.Ring == nil {
			return d, nil, fmt.Errorf("kind %s holds secrets and has no key ring", k.Name)
		}
		data, err = s.MarshalStored()
	} else {
		data, err = json.Marshal(v)
	}
	if err != nil {
		return d, nil, fmt.Errorf("encode %s: %w", k.Name, err)
	}
	if read != nil {
		data = keep(*read.data, data, formOf(v))
	}
	body := make([]byte, 0, len(data)+16)
	body = fmt.Appendf(body, `{"v":%d,"d":`, len(k.Upgrades)+1)
	body = append(append(body, data...), '}')
	if k.Ring != nil {
		body = k.Ring.Seal(body, k.context(d.Key))
	}
	d.Body = body
	return d, &origin{&data}, nil
}

// unwrap reads the envelope. encode always writes it in the same way, and then it is cut off: parsing it would mean to go over
// the data twice, which is a good part of what reading a document costs.
func unwrap(body []byte) (envelope, error) {
	if rest, ok := bytes.CutPrefix(body, []byte(`{"v":`)); ok {
		number, data, ok := bytes.Cut(rest, []byte(`,"d":`))
		schema, err := strconv.Atoi(string(number))
		if data, closed := bytes.CutSuffix(data, []byte("}")); ok && closed && err == nil {
			return envelope{Schema: schema, Data: data}, nil
		}
	}
	var env envelope
	err := json.Unmarshal(body, &env)
	return env, err
}

func (k *Kind[T]) context(key string) string { return "store\x00" + k.Name + "\x00" + key }

func (k *Kind[T]) decode(d Doc, err error) (Entry[T], error) {
	var e Entry[T]
	if err != nil {
		return e, err
	}
	e.Version = d.Version
	body := d.Body
	if k.Ring != nil {
		if body, err = k.Ring.Open(body, k.context(d.Key)); err != nil {
			return e, fmt.Errorf("open %s: %w", k.Name, err)
		}
	}
	env, err := unwrap(body)
	if err != nil {
		return e, fmt.Errorf("decode %s: %w", k.Name, err)
	}
	current := len(k.Upgrades) + 1
	if env.Schema < 1 || env.Schema > current {
		return e, fmt.Errorf("decode %s: schema %d, this release knows 1 to %d", k.Name, env.Schema, current)
	}
	if len(env.Data) == 0 || bytes.Equal(env.Data, []byte("null")) {
		return e, fmt.Errorf("decode %s: no value in the body", k.Name)
	}
	for i := env.Schema; i < current; i++ {
		if env.Data, err = k.Upgrades[i-1](env.Data); err != nil {
			return e, fmt.Errorf("upgrade %s from schema %d: %w", k.Name, i, err)
		}
	}
	if s, ok := any(&e.Value).(Stored); ok {
		err = s.UnmarshalStored(env.Data)
	} else {
		// Unknown members are left out, not refused: a newer node may have written them
		// while this one still runs (rolling restart). Replace keeps them.
		err = json.Unmarshal(env.Data, &e.Value)
	}
	if err != nil {
		return e, fmt.Errorf("decode %s: %w", k.Name, err)
	}
	e.read = &origin{(*[]byte)(&env.Data)}
	return e, nil
}
