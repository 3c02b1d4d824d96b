package server_test

import (
	"slices"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/federation/store/storetest"
	"github.com/weir-id/weir/server/servertest"
)

// A day of people and applications, and a month of keys, on a store that a newer release has written in: nothing is lost that this one does not
// know. What each administrator's operation does is in federation/pool.
func TestWhatANewerReleaseWroteStays(t *testing.T) {
	rotating := func(o *servertest.Options) {
		o.Spec.UserPools[0].Clients[0].RefreshTokenRotation = &pool.RefreshRotation{Feature: "ENABLED"}
		o.Spec.UserPools[0].SigningKeyDays = 10
	}
	for name, start := range map[string]func() (*servertest.Weir, servertest.Upstream){
		"OIDC": func() (*servertest.Weir, servertest.Upstream) {
			w, _ := servertest.StartExample(t, rotating)
			return w, ada
		},
		"SAML": func() (*servertest.Weir, servertest.Upstream) {
			w, _ := servertest.StartSAML(t, rotating)
			return w, servertest.AsSAML("ada")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, who := start()
			newer := &storetest.Newer{Engine: w.Engine.Engine, Ring: w.Ring}
			w.Engine.Engine = newer
			w.Engine.Reset()
			c := clustered(t, w, 0)
			for range 3 {
				day(t, c, who)
				for range 12 {
					c.pass(24 * time.Hour)
					for _, node := range c.nodes {
						maintain(t, node)
					}
				}
			}
			// A fetched document is put in the place of the one before, of which it keeps nothing.
			got := slices.DeleteFunc(newer.Dropped(), func(kind string) bool { return kind == "saml_metadata" })
			if len(got) > 0 {
				t.Errorf("dropped from %v", got)
			}
			if n := w.Engine.Writes(); n < 40 {
				t.Errorf("%s: the test shows less than it says", w.Engine.Written())
			}
		})
	}
}

func maintain(t *testing.T, w *servertest.Weir) {
	t.Helper()
	p, err := w.Directory.Pool(t.Context(), servertest.PoolID)
	if err == nil {
		err = w.Keys.Maintain(t.Context(), p)
	}
	if err == nil {
		err = w.SAMLKeys.Maintain(t.Context(), p.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
}
