package pool

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// LifetimeForm is how a client's lifetimes were given. It has no effect on tokens: a client of the API has to see what it has sent, or
// it takes the difference for a change that somebody made.
type LifetimeForm struct {
	// The units, of TimeUnitsType; "" where none was given: hours, and days for refresh tokens.
	IDTokenUnit      string `json:"id,omitempty"`
	AccessTokenUnit  string `json:"access,omitempty"`
	RefreshTokenUnit string `json:"refresh,omitempty"`
	// The lifetimes that were not given.
	IDTokenDefault     bool `json:"id_default,omitempty"`
	AccessTokenDefault bool `json:"access_default,omitempty"`
}

// units are those of TimeUnitsType, the largest first.
var units = []struct {
	name string
	is   time.Duration
}{{"days", 24 * time.Hour}, {"hours", time.Hour}, {"minutes", time.Minute}, {"seconds", time.Second}}

// unit returns how long a unit is, def for "", and 0 for one that is none.
func unit(name string, def time.Duration) time.Duration {
	if name == "" {
		return def
	}
	for _, u := range units {
		if u.name == name {
			return u.is
		}
	}
	return 0
}

// The units without TokenValidityUnits.
const (
	tokenUnit   = time.Hour
	refreshUnit = 24 * time.Hour
)

// fitting returns the unit if the lifetime is a whole number of it, else the largest one of which it is.
func fitting(d time.Duration, name string, def time.Duration) string {
	if u := unit(name, def); u == 0 || d%u == 0 {
		return name
	}
	for _, u := range units {
		if d%u.is == 0 {
			return u.name
		}
	}
	return name
}

// withDefaults replaces zero lifetimes, and gives the others a unit in which they are whole numbers.
func (c Client) withDefaults() Client {
	set := func(d *time.Duration, def time.Duration) bool {
		zero := *d == 0
		if zero {
			*d = def
		}
		return zero
	}
	f := &c.Form
	f.IDTokenDefault = set(&c.IDTokenValidity, defaultTokenValidity) || f.IDTokenDefault && c.IDTokenValidity == defaultTokenValidity
	f.AccessTokenDefault = set(&c.AccessTokenValidity, defaultTokenValidity) || f.AccessTokenDefault && c.AccessTokenValidity == defaultTokenValidity
	set(&c.RefreshTokenValidity, defaultRefreshValidity)
	set(&c.AuthSessionValidity, defaultAuthSession)
	if !f.IDTokenDefault {
		f.IDTokenUnit = fitting(c.IDTokenValidity, f.IDTokenUnit, tokenUnit)
	}
	if !f.AccessTokenDefault {
		f.AccessTokenUnit = fitting(c.AccessTokenValidity, f.AccessTokenUnit, tokenUnit)
	}
	f.RefreshTokenUnit = fitting(c.RefreshTokenValidity, f.RefreshTokenUnit, refreshUnit)
	return c
}

// impliedForm is the form of lifetimes that say nothing of it.
func (c Client) impliedForm() LifetimeForm {
	c.Form = LifetimeForm{
		IDTokenDefault: c.IDTokenValidity == defaultTokenValidity, AccessTokenDefault: c.AccessTokenValidity == defaultTokenValidity,
	}
	return c.withDefaults().Form
}

// Lifetimes returns the lifetimes as they were given, as numbers of the units; 0 where none was given, but for refresh tokens, whose
// default is shown as in the original.
func (c Client) Lifetimes() (id, access, refresh int, u TokenValidityUnits) {
	f := c.Form
	number := func(d time.Duration, name string, def time.Duration) int {
		return int(d / cmp.Or(unit(name, def), def))
	}
	if !f.IDTokenDefault {
		id = number(c.IDTokenValidity, f.IDTokenUnit, tokenUnit)
	}
	if !f.AccessTokenDefault {
		access = number(c.AccessTokenValidity, f.AccessTokenUnit, tokenUnit)
	}
	refresh = number(c.RefreshTokenValidity, f.RefreshTokenUnit, refreshUnit)
	return id, access, refresh, TokenValidityUnits{IDToken: f.IDTokenUnit, AccessToken: f.AccessTokenUnit, RefreshToken: f.RefreshTokenUnit}
}

// describeUnits is the form of lifetimes in one line.
func (f LifetimeForm) describeUnits() string {
	parts := slices.DeleteFunc([]string{
		prefixed("IdToken=", f.IDTokenUnit), prefixed("AccessToken=", f.AccessTokenUnit), prefixed("RefreshToken=", f.RefreshTokenUnit),
	}, func(s string) bool { return s == "" })
	return strings.Join(parts, " ")
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// desiredLifetimes reads the lifetimes of a spec.
func desiredLifetimes(c *Client, s ClientSpec, ps *Problems) {
	u := s.TokenValidityUnits
	c.Form = LifetimeForm{IDTokenUnit: u.IDToken, AccessTokenUnit: u.AccessToken, RefreshTokenUnit: u.RefreshToken}
	c.IDTokenValidity = validity(s.IDTokenValidity, u.IDToken, tokenUnit, "TokenValidityUnits.IdToken", ps)
	c.AccessTokenValidity = validity(s.AccessTokenValidity, u.AccessToken, tokenUnit, "TokenValidityUnits.AccessToken", ps)
	c.RefreshTokenValidity = validity(s.RefreshTokenValidity, u.RefreshToken, refreshUnit, "TokenValidityUnits.RefreshToken", ps)
	c.AuthSessionValidity = times(s.AuthSessionValidity, time.Minute)
	if r := s.RefreshTokenRotation; r != nil {
		switch r.Feature {
		case "ENABLED":
			c.RotateRefreshTokens = true
		case "DISABLED":
			c.RotationDisabled = true
		default:
			ps.add("RefreshTokenRotation.Feature", "must be ENABLED or DISABLED")
		}
		c.RotationGrace = times(r.RetryGracePeriodSeconds, time.Second)
	}
}

func validity(n int, name string, def time.Duration, path string, ps *Problems) time.Duration {
	u := unit(name, def)
	if u == 0 {
		ps.add(path, "must be seconds, minutes, hours or days")
		return 0
	}
	return times(n, u)
}

// times multiplies without overflow: what is out of every range stays out of it.
func times(n int, unit time.Duration) time.Duration {
	if most := int(maxRefreshValidity/unit) + 1; n > most {
		n = most
	}
	return time.Duration(max(n, -1)) * unit
}
