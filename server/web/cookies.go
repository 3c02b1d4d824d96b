package web

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/weir-id/weir/federation"
)

// Bounds of the attempts that one browser may hold. The oldest goes first.
const (
	maxAttempts     = 5
	maxAttemptBytes = 8 << 10 // names and values together
)

const (
	attemptMark = "weir_at_"
	logoutMark  = "weir_lo_"
	carriedMark = "weir_on_"
	askMark     = "weir_as_"
)

// maxQuestions bounds the questions to the person that one browser may hold. The others go.
const maxQuestions = 2

// maxCarried bounds the cookies that hold what providers said once: see federation.Carry.
const maxCarried = 2

// prefix keeps a cookie to this very host, where the scheme allows it (RFC 6265bis section 4.1.3.2):
// another host of the same domain can then neither plant nor overwrite it.
func (s *Site) prefix() string {
	if s.Secure() {
		return "__Host-"
	}
	return ""
}

// attemptName: the start is part of the name, so that the oldest is known without opening any.
func (s *Site) attemptName(a federation.Attempt) string {
	return s.prefix() + attemptMark + strconv.FormatInt(a.Started.Unix(), 36) + "_" + a.ID
}

// SetAttempt puts a sealed attempt into the browser and removes the oldest ones beyond the bounds.
func (s *Site) SetAttempt(c echo.Context, a federation.Attempt, sealed string) {
	name := s.attemptName(a)
	var held []*http.Cookie
	for _, ck := range c.Cookies() {
		if strings.HasPrefix(ck.Name, s.prefix()+attemptMark) && ck.Name != name {
			held = append(held, ck)
		}
	}
	slices.SortStableFunc(held, func(x, y *http.Cookie) int { // newest first
		return cmp.Compare(startOf(y.Name), startOf(x.Name))
	})
	count, size := 1, len(name)+len(sealed)
	for _, ck := range held {
		count++
		size += len(ck.Name) + len(ck.Value)
		if count > maxAttempts || size > maxAttemptBytes {
			s.remove(c, ck.Name)
		}
	}
	s.set(c, name, sealed, federation.AttemptLife)
}

func startOf(name string) int64 {
	_, rest, _ := strings.Cut(name, attemptMark)
	start, _, _ := strings.Cut(rest, "_")
	n, err := strconv.ParseInt(start, 36, 64)
	if err != nil {
		return 0
	}
	return n
}

// Attempt returns the sealed attempt of that id, "" where the browser has none.
func (s *Site) Attempt(c echo.Context, id string) string {
	if ck := s.attemptCookie(c, id); ck != nil {
		return ck.Value
	}
	return ""
}

// DropAttempt removes the attempt of that id from the browser.
func (s *Site) DropAttempt(c echo.Context, id string) {
	if ck := s.attemptCookie(c, id); ck != nil {
		s.remove(c, ck.Name)
	}
}

func (s *Site) attemptCookie(c echo.Context, id string) *http.Cookie {
	if id == "" {
		return nil
	}
	for _, ck := range c.Cookies() {
		rest, ok := strings.CutPrefix(ck.Name, s.prefix()+attemptMark)
		if !ok {
			continue
		}
		if _, have, _ := strings.Cut(rest, "_"); have == id {
			return ck
		}
	}
	return nil
}

// SetLogout puts a sealed sign-out that goes on at a provider into the browser.
func (s *Site) SetLogout(c echo.Context, id, sealed string) {
	s.set(c, s.prefix()+logoutMark+id, sealed, federation.AttemptLife)
}

// Logout returns the sealed sign-out of that id, "" where the browser has none.
func (s *Site) Logout(c echo.Context, id string) string {
	ck, err := c.Cookie(s.prefix() + logoutMark + id)
	if err != nil {
		return ""
	}
	return ck.Value
}

// DropLogout removes the sign-out of that id from the browser.
func (s *Site) DropLogout(c echo.Context, id string) { s.remove(c, s.prefix()+logoutMark+id) }

// SetQuestion puts the right to answer a question into the browser. The cookie is Lax: no other site can send an answer along with it.
func (s *Site) SetQuestion(c echo.Context, id, sealed string) {
	count := 1
	for _, ck := range c.Cookies() {
		if strings.HasPrefix(ck.Name, s.prefix()+askMark) && ck.Name != s.prefix()+askMark+id {
			if count++; count > maxQuestions {
				s.remove(c, ck.Name)
			}
		}
	}
	s.set(c, s.prefix()+askMark+id, sealed, federation.AskLife)
}

// Question returns the sealed right to answer the question of that id, "" where the browser has none.
func (s *Site) Question(c echo.Context, id string) string {
	ck, err := c.Cookie(s.prefix() + askMark + id)
	if err != nil {
		return ""
	}
	return ck.Value
}

// DropQuestion removes it from the browser.
func (s *Site) DropQuestion(c echo.Context, id string) { s.remove(c, s.prefix()+askMark+id) }

// SetCarried puts what a provider said once into the browser, if there is anything, and removes what is too much of others.
func (s *Site) SetCarried(c echo.Context, carry federation.Carry) {
	if carry.Sealed == "" {
		return
	}
	name, count := s.carriedName(carry.PoolID, carry.Provider), 1
	for _, ck := range c.Cookies() {
		if !strings.HasPrefix(ck.Name, s.prefix()+carriedMark) || ck.Name == name {
			continue
		}
		if count++; count > maxCarried {
			s.remove(c, ck.Name)
		}
	}
	s.set(c, name, carry.Sealed, federation.CarryLife)
}

// Carried returns what the browser carries, sealed, of what a provider of a pool said once; "" if nothing.
func (s *Site) Carried(c echo.Context, poolID, provider string) string {
	ck, err := c.Cookie(s.carriedName(poolID, provider))
	if err != nil {
		return ""
	}
	return ck.Value
}

// DropCarried removes it from the browser.
func (s *Site) DropCarried(c echo.Context, poolID, provider string) {
	s.remove(c, s.carriedName(poolID, provider))
}

// carriedName: providers' names may have characters that names of cookies may not.
func (s *Site) carriedName(poolID, provider string) string {
	sum := sha256.Sum256([]byte(poolID + "\x00" + provider))
	return s.prefix() + carriedMark + base64.RawURLEncoding.EncodeToString(sum[:12])
}

// SetSession puts a sealed session of a pool into the browser.
func (s *Site) SetSession(c echo.Context, poolID, sealed string, life time.Duration) {
	s.set(c, s.sessionName(poolID), sealed, life)
}

// Session returns the sealed session of a pool, "" where the browser has none.
func (s *Site) Session(c echo.Context, poolID string) string {
	ck, err := c.Cookie(s.sessionName(poolID))
	if err != nil {
		return ""
	}
	return ck.Value
}

// Sessions names the pools of which the browser has a session at this host.
func (s *Site) Sessions(c echo.Context) []string {
	var out []string
	for _, ck := range c.Cookies() {
		if poolID, ok := strings.CutPrefix(ck.Name, s.sessionName("")); ok && !slices.Contains(out, poolID) {
			out = append(out, poolID)
		}
	}
	return out
}

// DropSession removes the session of a pool from the browser.
func (s *Site) DropSession(c echo.Context, poolID string) { s.remove(c, s.sessionName(poolID)) }

func (s *Site) sessionName(poolID string) string { return s.prefix() + "weir_s_" + poolID }

// set writes a cookie. Providers answer with a cross-site POST (SAML, Apple) and need
// SameSite=None, which browsers only take with Secure; on plain http
// (development) Lax remains, and POST callbacks re-post themselves once from a page of ours.
// The session cookie is always Lax: applications reach /oauth2/authorize by top-level navigation.
func (s *Site) set(c echo.Context, name, value string, life time.Duration) {
	ck := &http.Cookie{ //nolint:gosec // Secure follows the scheme: on plain http browsers drop Secure cookies
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second),
		HttpOnly: true, Secure: s.Secure(), SameSite: http.SameSiteLaxMode,
	}
	crossSite := slices.ContainsFunc([]string{attemptMark, logoutMark, carriedMark}, func(mark string) bool {
		return strings.HasPrefix(name, s.prefix()+mark)
	})
	if s.Secure() && crossSite {
		ck.SameSite = http.SameSiteNoneMode
	}
	c.SetCookie(ck)
}

func (s *Site) remove(c echo.Context, name string) {
	s.set(c, name, "", -time.Second) // a negative age deletes
}
