package api

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/weir-id/weir/federation/secret"
)

// Secret is a secret on the wire. Printers and loggers do not show it; JSON does, since that is what it is for.
type Secret struct{ secret.Text }

// NewSecret returns s as a Secret.
func NewSecret(s string) Secret { return Secret{secret.New(s)} }

// MarshalJSON implements json.Marshaler with the value.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.Reveal()) }

// UnmarshalJSON implements json.Unmarshaler.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var v string
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	s.Text = secret.New(v)
	return nil
}

// Time is a timestamp, on the wire a number of seconds since 1970 with up to three decimals.
type Time struct{ time.Time }

// TimeOf returns t as a Time, nil for the zero time.
func TimeOf(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	return &Time{t}
}

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	ms := t.UnixMilli()
	s := strconv.FormatInt(ms/1000, 10)
	if ms%1000 != 0 {
		s = strconv.FormatFloat(float64(ms)/1000, 'f', -1, 64)
	}
	return []byte(s), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(data []byte) error {
	f, err := strconv.ParseFloat(string(bytes.TrimSpace(data)), 64)
	if err != nil {
		return err
	}
	t.Time = time.UnixMilli(int64(f * 1000)).UTC()
	return nil
}
