package store

// Keep returns fresh with what the release of the struct v does not know of old.
func Keep(old, fresh []byte, v any) []byte { return keep(old, fresh, formOf(v)) }

// Members returns the members of a JSON object as they are written, with a colon behind each name.
func Members(object []byte) (names, whole []string) {
	for name, member := range members(object) {
		names, whole = append(names, string(name)), append(whole, string(member))
	}
	return names, whole
}
