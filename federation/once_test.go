package federation_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation"
	"github.com/weir-id/weir/federation/once"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/mapping"
	"github.com/weir-id/weir/server/servertest"
)

func user(text string) federation.Response {
	return federation.Response{Method: "POST", Form: url.Values{"state": {"s"}, "code": {"c"}, "user": {text}}}
}

// Only the parameters that a provider names, of an answer to an attempt of this very browser, are carried.
func TestCarry(t *testing.T) {
	w, _ := servertest.StartExample(t)
	plain := begin(t, w)
	if got := w.Broker.Carry(plain.Attempt.ID, plain.Sealed, user("{}")); got != (federation.Carry{}) {
		t.Errorf("of a provider that says nothing once: %+v", got)
	}
	a := plain.Attempt
	a.Once = []string{"user"}
	sealed := seal(t, w.Ring, a)
	c := w.Broker.Carry(a.ID, sealed, user(`{"name":"x"}`))
	if c.PoolID != a.PoolID || c.Provider != a.Provider || c.Sealed == "" {
		t.Fatalf("carry %+v", c)
	}
	if got := w.Broker.Carried(a, c.Sealed); len(got) != 1 || got.Get("user") != `{"name":"x"}` {
		t.Errorf("carried %v", got)
	}
	for name, got := range map[string]federation.Carry{
		"another attempt's id":  w.Broker.Carry(plain.Attempt.ID+"x", sealed, user("{}")),
		"a cookie of nobody":    w.Broker.Carry(a.ID, "x", user("{}")),
		"nothing to carry":      w.Broker.Carry(a.ID, sealed, federation.Response{Method: "POST", Form: url.Values{"state": {"s"}}}),
		"more than a name":      w.Broker.Carry(a.ID, sealed, user(strings.Repeat("x", 1<<10))),
		"in the query of a GET": w.Broker.Carry(a.ID, sealed, federation.Response{Method: "GET", RawQuery: "user=x"}),
	} {
		if got != (federation.Carry{}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	w.Clock.Advance(federation.CarryLife + time.Second)
	if got := w.Broker.Carried(a, c.Sealed); got != nil {
		t.Errorf("after a day: %v", got)
	}
	if got := w.Broker.Carry(a.ID, sealed, user("{}")); got != (federation.Carry{}) {
		t.Errorf("of an attempt of yesterday: %+v", got)
	}
}

// seal makes the cookie of an attempt, as Begin does.
func seal(t *testing.T, ring *secret.Ring, a federation.Attempt) string {
	t.Helper()
	plain, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return encode(ring.Seal(plain, "attempt\x00"+a.ID))
}

func FuzzCarried(f *testing.F) {
	w, _ := servertest.StartExample(f)
	a := begin(f, w).Attempt
	a.Once = []string{"user"}
	f.Add("", "")
	f.Add("x", `{"t":"2026-05-04T12:00:00Z","v":{"user":["x"]}}`)
	f.Add("", `{"t":"2026-05-04T12:00:00Z","v":{"user":null}}`)
	f.Fuzz(func(t *testing.T, raw, plain string) {
		if got := w.Broker.Carried(a, raw); got != nil {
			t.Errorf("a cookie that was not sealed here: %v", got)
		}
		if got := w.Broker.Carried(a, encode(w.Ring.Seal([]byte(plain), "once\x00"+a.PoolID))); got != nil {
			t.Errorf("sealed for something else: %v", got)
		}
	})
}

// The memory is of a person, and a Weir that was started anew on the store has it.
func TestOnceOutlivesTheProcess(t *testing.T) {
	w, _ := servertest.StartExample(t)
	who := once.Person{PoolID: servertest.PoolID, Provider: "Corp", Subject: "ada-0001"}
	if err := w.Once.Keep(t.Context(), who, mapping.Claims{"name": "Ada"}); err != nil {
		t.Fatal(err)
	}
	again := servertest.Start(t, servertest.Options{Beside: w})
	if got, err := again.Once.Recall(t.Context(), who); err != nil || got["name"] != "Ada" {
		t.Errorf("recalled %v, %v", got, err)
	}
}
