package server_test

import (
	"fmt"
	"testing"

	"github.com/weir-id/weir/federation/pool"
	"github.com/weir-id/weir/server/servertest"
)

// A login from authorize to tokens, and a refresh, of somebody without groups and of somebody with some.
func TestGroupsInTokens(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/"
	w, _ := servertest.StartExample(t)
	web := w.Web()
	sub, _ := web.Claims(web.Login(w.Browser(), ada).Text("access_token"))["sub"].(string)
	for _, g := range []pool.Group{{Name: "staff"}, {Name: "admins", RoleArn: role + "admin"}, {Name: "others"}} {
		if g.RoleArn != "" {
			g.Precedence = new(int)
		}
		g.PoolID = servertest.PoolID
		if _, err := w.Directory.CreateGroup(t.Context(), g); err != nil {
			t.Fatal(err)
		}
	}
	w.Engine.Reset()
	none := web.Login(w.Browser(), ada)
	none = web.Refresh(none.Text("refresh_token"))
	if n := w.Engine.Reads("group"); n != 0 {
		t.Errorf("%d reads of groups for somebody without any", n)
	}
	carries := func(when, raw, groups, roles, preferred string) {
		t.Helper()
		c := web.Claims(raw)
		text := func(name string) string {
			if c[name] == nil {
				return ""
			}
			return fmt.Sprint(c[name])
		}
		if text("cognito:groups") != groups || text("cognito:roles") != roles || text("cognito:preferred_role") != preferred {
			t.Errorf("%s: groups %s, roles %s, preferred %s", when, text("cognito:groups"), text("cognito:roles"), text("cognito:preferred_role"))
		}
	}
	carries("without", none.Text("id_token"), "", "", "")
	carries("without", none.Text("access_token"), "", "", "")

	for _, name := range []string{"staff", "admins"} {
		if err := w.Directory.AddToGroup(t.Context(), servertest.PoolID, sub, name); err != nil {
			t.Fatal(err)
		}
	}
	w.Engine.Reset()
	b := w.Browser()
	first := web.Login(b, ada)
	for when, ans := range map[string]*servertest.Answer{
		"a login": first, "single sign-on": web.Tokens(b.Get(web.Authorize())), "a refresh": web.Refresh(first.Text("refresh_token")),
	} {
		carries(when, ans.Text("id_token"), "[admins staff]", "["+role+"admin]", role+"admin")
		carries(when, ans.Text("access_token"), "[admins staff]", "", "")
	}
	if n := w.Engine.Reads("group"); n > 1 {
		t.Errorf("%d reads of groups for three answers: they are cached", n)
	}

	if err := w.Directory.DeleteGroup(t.Context(), servertest.PoolID, "admins"); err != nil {
		t.Fatal(err)
	}
	carries("after one is gone", web.Refresh(first.Text("refresh_token")).Text("id_token"), "[staff]", "", "")
	if err := w.Directory.RemoveFromGroup(t.Context(), servertest.PoolID, sub, "staff"); err != nil {
		t.Fatal(err)
	}
	carries("after leaving", web.Refresh(first.Text("refresh_token")).Text("id_token"), "", "", "")
}
