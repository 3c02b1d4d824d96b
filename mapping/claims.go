// Package mapping turns what a provider asserts into attributes of a pool user: pure
// rules, no I/O, no clock. It owns claim paths and rules; it does not own the schema
// (federation/pool checks values against it) nor who may write what.
//
// A mapping is attribute -> source, the AttributeMapping of the API model. A source is a constant, a claim or an expression in CEL, with options
// in front of it (docs/mapping.md has them all, and what expressions may do):
//
//	source   = [ options ] ( constant / claim ) / options expression   ; the latter where one of the options is cel
//	options  = "[" option *( "," option ) "]"
//	option   = "cel" / "write=" word / "absent=" word / "list=" ( word / JSON string )
//	constant = "=" text                      ; the text without surrounding white space
//	claim    = name / path
//	path     = first *( "." word / index / quoted )
//	first    = word / quoted
//	word     = 1*( any character but . [ ] " )
//	index    = "[" ( "0" / %x31-39 *3DIGIT ) "]"   ; 0 to 9999, counted from 0
//	quoted   = "[" JSON string "]"           ; a name with characters that a word cannot have
//
// A claim is looked up twice. First the whole source is a name: a top-level claim that is called exactly so always
// wins, since SAML names are URIs and many OpenID ones are too (https://example.com/roles). Only
// where there is no such claim is the source a path into nested claims: address.locality, realm_access.roles[0],
// ["odd.name"].x. A source that is no path, or is one of more than 16 steps, is a name and nothing else, except that one
// which begins with "[" or "=" is never a name: ["=x"] names the claim =x. What begins with "[" and not with `["` are options.
//
// Values become text like this:
//
//   - A string is itself, true and false are those words, a number is its digits without exponent.
//   - A list is [a,b], each element form-encoded except letters, digits and .-*_ (a space is +), so that a reader can
//     split it at the commas whatever the elements hold. A list is always in brackets, also with one element or none: the
//     type decides, not the count, so an application never has to guess. A SAML attribute with a single value is a
//     string and not a list, which gives the plain value. A source ending in [0] takes the first element, and takes
//     a plain value as it is. null elements are left out.
//   - An object, and an object or list within a list, is compact JSON with its names in byte order.
//   - null, the empty string and a path that leads nowhere are absent: nothing is written and the user keeps the old value.
//   - A value over 2,048 characters (Unicode code points), nested deeper than 16 levels or not text at all is an error; it is never cut.
//
// email_verified and phone_number_verified are statements about email and phone_number as the same assertion
// gave them: "true" for the boolean true or the string "true", "false" for everything else that is there. Without
// the address they are withheld, because a provider cannot vouch for a value it did not bring. The standard claim
// email_verified speaks of the standard claim email (OpenID Connect Core section 5.1): where a mapping takes the address from another
// claim (upn, preferred_username) that a person may have chosen, it counts only if the two are equal; so with phone numbers. Where the
// claim is absent nothing is written here either, and federation/pool, which knows the old address, takes a new one for unverified.
package mapping

// Claims are the verified statements of a provider about a person, in JSON's types: string,
// float64, json.Number, bool, nil, []any and map[string]any. SAML attributes are
// string or []any of strings.
type Claims map[string]any
