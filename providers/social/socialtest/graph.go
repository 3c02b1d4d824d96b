package socialtest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Graph is a stand-in for Microsoft Graph, of which it has GET /v1.0/me/transitiveMemberOf, with pages and the refusals of the real one.
type Graph struct {
	// Person returns whom an access token is of, and whether it is one.
	Person func(token string) (person string, ok bool)
	// Members are the groups, directory roles and administrative units of each person: @odata.type and id.
	Members map[string][][2]string
	// Page bounds a page below $top; 0 does not.
	Page int
	// Next changes the address of the next page.
	Next func(next string) string

	URL string // set by Start

	mu       sync.Mutex
	override http.HandlerFunc
	asked    []*url.URL
}

// Start serves until the test ends.
func (g *Graph) Start(t testing.TB) {
	t.Helper()
	g.URL = listen(t, g.serve)
}

// Override answers in place of Graph; nil is Graph again.
func (g *Graph) Override(h http.HandlerFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.override = h
}

// Asked returns the addresses that were asked.
func (g *Graph) Asked() []*url.URL {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.asked)
}

func graphError(w http.ResponseWriter, status int, code, message string) {
	Send(w, status, map[string]any{"error": map[string]any{"code": code, "message": message}})
}

func (g *Graph) serve(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.asked = append(g.asked, r.URL)
	override := g.override
	g.mu.Unlock()
	if override != nil {
		override(w, r)
		return
	}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	person, ok := g.Person(token)
	q := r.URL.Query()
	top, _ := strconv.Atoi(q.Get("$top"))
	skip, err := strconv.Atoi("0" + q.Get("$skiptoken"))
	switch {
	case r.Method != http.MethodGet || r.URL.Path != "/v1.0/me/transitiveMemberOf":
		graphError(w, http.StatusNotFound, "Request_ResourceNotFound", "Resource not found for the segment.")
	case !bearer || !ok:
		graphError(w, http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token is empty or invalid.")
	case top < 1 || top > 999 || q.Get("$select") != "id" || err != nil || skip > len(g.Members[person]):
		graphError(w, http.StatusBadRequest, "Request_UnsupportedQuery", "Unsupported Query.")
	default:
		g.page(w, q, g.Members[person], skip, top)
	}
}

func (g *Graph) page(w http.ResponseWriter, q url.Values, members [][2]string, skip, top int) {
	if g.Page > 0 {
		top = min(top, g.Page)
	}
	end := min(skip+top, len(members))
	value := []map[string]string{}
	for _, m := range members[skip:end] {
		value = append(value, map[string]string{"@odata.type": m[0], "id": m[1]})
	}
	answer := map[string]any{"@odata.context": g.URL + "/v1.0/$metadata#directoryObjects(id)", "value": value}
	if end < len(members) {
		q.Set("$skiptoken", strconv.Itoa(end))
		next := g.URL + "/v1.0/me/transitiveMemberOf?" + q.Encode()
		if g.Next != nil {
			next = g.Next(next)
		}
		answer["@odata.nextLink"] = next
	}
	Send(w, http.StatusOK, answer)
}
