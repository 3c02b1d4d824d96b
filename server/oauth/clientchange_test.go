package oauth_test

import (
	"net/http"
	"testing"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/servertest"
)

// While an application's instances move from one secret to the next, both are good, and the old one is dead once it is deleted.
func TestBothSecretsOfAClientAreTaken(t *testing.T) {
	w, _ := servertest.StartExample(t)
	app, b := w.Web(), w.Browser()
	old := app.Login(b, ada).Text("refresh_token")
	added, err := w.Directory.AddClientSecret(t.Context(), servertest.PoolID, app.ClientID, secret.Text{})
	if err != nil {
		t.Fatal(err)
	}
	moved := *app
	moved.Secret = added.Value.Reveal()
	for name, a := range map[string]*servertest.App{"old": app, "new": &moved} {
		if ans := a.Refresh(old); ans.Status != http.StatusOK {
			t.Errorf("with the %s secret: %s", name, ans.Body)
		}
	}
	all, err := w.Directory.ClientSecrets(t.Context(), servertest.PoolID, app.ClientID)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Directory.DeleteClientSecret(t.Context(), servertest.PoolID, app.ClientID, all[0].ID); err != nil {
		t.Fatal(err)
	}
	refused(t, app.Refresh(old), http.StatusUnauthorized, "invalid_client", "")
	if ans := moved.Refresh(old); ans.Status != http.StatusOK {
		t.Errorf("with the new secret alone: %s", ans.Body)
	}
}

// AllowedOAuthFlowsUserPoolClient: false shuts the OAuth endpoints for a client, whatever else it has, and for what it has got before.
func TestAClientThatMayNotUseOAuthIsRefused(t *testing.T) {
	w, _ := servertest.StartExample(t)
	app, b := w.Web(), w.Browser()
	before := app.Login(b, ada).Text("refresh_token")
	code := app.Code(b.Get(app.Authorize()))
	c, err := w.Directory.Client(t.Context(), app.ClientID)
	if err != nil {
		t.Fatal(err)
	}
	c.OAuth = false
	if _, err := w.Directory.UpdateClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	toClient(t, b.Get(app.Authorize()), app.RedirectURI, "unauthorized_client", "AllowedOAuthFlowsUserPoolClient")
	refused(t, app.Refresh(before), http.StatusBadRequest, "unauthorized_client", "AllowedOAuthFlowsUserPoolClient")
	refused(t, app.Redeem(code), http.StatusBadRequest, "unauthorized_client", "AllowedOAuthFlowsUserPoolClient")
}

// A client that is gone takes its grants with it.
func TestADeletedClientHasNoTokens(t *testing.T) {
	w, _ := servertest.StartExample(t)
	app, b := w.Web(), w.Browser()
	got := app.Login(b, ada)
	if err := w.Directory.DeleteClient(t.Context(), servertest.PoolID, app.ClientID); err != nil {
		t.Fatal(err)
	}
	refused(t, app.Refresh(got.Text("refresh_token")), http.StatusUnauthorized, "invalid_client", "")
	req := app.NewRequest(http.MethodGet, "/oauth2/userInfo", nil)
	req.Header.Set("Authorization", "Bearer "+got.Text("access_token"))
	if ans := app.Send(req); ans.Status != http.StatusUnauthorized {
		t.Errorf("userInfo: %d %s", ans.Status, ans.Body)
	}
}
