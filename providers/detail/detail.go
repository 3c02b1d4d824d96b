// Package detail reads ProviderDetails: the string-to-string settings of an identity provider.
//
// A kind of provider reads its keys through a Reader, which notes every fault instead of stopping at
// the first, and finds the keys nobody asked for. What a key means belongs to the kind. No message
// here quotes a value, because any of them may be a secret.
package detail

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-id/weir/federation/outgoing"
	"github.com/weir-id/weir/federation/pool"
)

// maxValue bounds a value, in bytes: the API model allows 131,072.
const maxValue = 131072

// Fault is one thing wrong with the details.
type Fault struct {
	Key     string // of ProviderDetails
	Problem string // "required", "must be GET or POST", …; never a value
}

// Error implements error.
func (f Fault) Error() string { return f.Key + ": " + f.Problem }

// Reader reads details and collects what is wrong with them.
type Reader struct {
	details      pool.Details
	allowPrivate bool
	defaults     map[string]string
	read         map[string]bool
	faults       []Fault
}

// NewReader returns a reader of d. allowPrivate is that of outgoing.Options: it admits plain http and private addresses in URLs.
func NewReader(d pool.Details, allowPrivate bool) *Reader {
	return &Reader{details: d, allowPrivate: allowPrivate, defaults: map[string]string{}, read: map[string]bool{}}
}

// Default lays a value under a key, which counts where the details have none. The last default of a key is the one in force. It does not
// make the key known.
func (r *Reader) Default(key, value string) { r.defaults[key] = value }

// value is what the details say, or the default.
func (r *Reader) value(key string) string {
	r.read[key] = true
	if v := r.details.Get(key); v != "" {
		return v
	}
	return r.defaults[key]
}

// Has reports whether a key has a value.
func (r *Reader) Has(key string) bool { return r.value(key) != "" }

// Fail notes a fault. The first one of a key is the one to report.
func (r *Reader) Fail(key, problem string) {
	if slices.ContainsFunc(r.faults, func(f Fault) bool { return f.Key == key }) {
		return
	}
	r.faults = append(r.faults, Fault{Key: key, Problem: problem})
}

// Faults returns what is wrong, unknown keys included, in the order of keys; nil if nothing is. Call it last. Those that the directory reads of every
// type of provider are known.
func (r *Reader) Faults() []Fault {
	for key := range r.details {
		if !r.read[key] && !slices.Contains(pool.CommonDetails(), key) {
			r.Fail(key, "unknown key")
		}
	}
	slices.SortStableFunc(r.faults, func(a, b Fault) int { return cmp.Compare(a.Key, b.Key) })
	return r.faults
}

// String returns a value, "" if it is absent. Surrounding space is a fault: it comes from pasting and is never meant.
func (r *Reader) String(key string) string {
	v := r.value(key)
	switch {
	case len(v) > maxValue:
		r.Fail(key, fmt.Sprintf("longer than %d bytes", maxValue))
		return ""
	case strings.TrimSpace(v) != v:
		r.Fail(key, "begins or ends with white space")
	}
	return v
}

// Text is String for a value of several lines, such as PEM: white space around it is dropped.
func (r *Reader) Text(key string) string {
	v := r.value(key)
	if len(v) > maxValue {
		r.Fail(key, fmt.Sprintf("longer than %d bytes", maxValue))
		return ""
	}
	return strings.TrimSpace(v)
}

// Required is String for a value that may not be empty.
func (r *Reader) Required(key string) string {
	v := r.String(key)
	r.Require(key)
	return v
}

// Require notes each of the keys that has no value.
func (r *Reader) Require(keys ...string) {
	for _, key := range keys {
		if r.value(key) == "" {
			r.Fail(key, "required")
		}
	}
}

// OneOf returns a value out of values, the first of them if it is absent.
func (r *Reader) OneOf(key string, values ...string) string {
	v := r.String(key)
	if v == "" {
		return values[0]
	}
	if !slices.Contains(values, v) {
		r.Fail(key, "must be "+strings.Join(values[:len(values)-1], ", ")+" or "+values[len(values)-1])
		return values[0]
	}
	return v
}

// Int returns a decimal number from low to high, def if it is absent.
func (r *Reader) Int(key string, def, low, high int) int {
	v := r.String(key)
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		r.Fail(key, fmt.Sprintf("must be a number from %d to %d", low, high))
		return def
	}
	return n
}

// URL returns an absolute URL, "" if it is absent or faulty. See CheckURL.
func (r *Reader) URL(key string) string {
	v := r.String(key)
	if v == "" {
		return ""
	}
	if problem := CheckURL(v, r.allowPrivate); problem != "" {
		r.Fail(key, problem)
		return ""
	}
	return v
}

// CheckURL returns what is wrong with an address that this service is to fetch or to send a browser to, "" if nothing
// is: it is absolute, https (http too where allowPrivate is), has a host, and neither user information nor
// a fragment; a host written as an address is one that outgoing.CheckAddr admits.
func CheckURL(raw string, allowPrivate bool) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil || !u.IsAbs() || u.Hostname() == "" || u.Opaque != "":
		return "must be an absolute URL"
	case u.Scheme == "http" && !allowPrivate:
		return "must begin with https:// (http needs outgoing.allow_private)"
	case u.Scheme != "https" && u.Scheme != "http":
		return "must begin with https://"
	case u.User != nil:
		return "must not contain a user name or password"
	case strings.Contains(raw, "#"):
		return "must not contain a fragment"
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && outgoing.CheckAddr(a, allowPrivate) != nil {
		return "is an address that may not be called (see outgoing.allow_private)"
	}
	return ""
}
