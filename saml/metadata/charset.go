package metadata

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// declaration is an XML declaration at the very beginning (XML 1.0 section 2.8).
var declaration = regexp.MustCompile(`^<\?xml\s+version\s*=\s*["']1\.[0-9]["'](?:\s+encoding\s*=\s*["']([A-Za-z][A-Za-z0-9._\-]*)["'])?(?:\s+standalone\s*=\s*["'](?:yes|no)["'])?\s*\?>`)

// toUTF8 returns the document in UTF-8, without byte order mark and XML declaration. UTF-16 is known by its byte
// order mark or, as XML 1.0 appendix F.1 says, by its first character being an angle bracket.
func toUTF8(data []byte) ([]byte, error) {
	wide := true
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		order, data = binary.LittleEndian, data[2:]
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		order, data = binary.BigEndian, data[2:]
	case bytes.HasPrefix(data, []byte{'<', 0}):
		order = binary.LittleEndian
	case bytes.HasPrefix(data, []byte{0, '<'}):
		order = binary.BigEndian
	default:
		wide = false
		data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	}
	if wide {
		var err error
		if data, err = fromUTF16(data, order); err != nil {
			return nil, err
		}
	}
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%w: it is neither UTF-8 nor UTF-16; save it in one of them", ErrNotMetadata)
	}
	data = bytes.TrimLeft(data, " \t\r\n") // pasted documents begin with an empty line
	if m := declaration.FindSubmatch(data); m != nil {
		name := strings.ToUpper(string(m[1]))
		if ok := name == "" || name == "UTF-8" || name == "UTF8" || name == "US-ASCII" || wide && strings.HasPrefix(name, "UTF-16"); !ok {
			return nil, fmt.Errorf("%w: its declared encoding is not the one it has, or not UTF-8 or UTF-16", ErrNotMetadata)
		}
		data = data[len(m[0]):]
	}
	return data, nil
}

// fromUTF16 refuses what has no meaning instead of replacing it.
func fromUTF16(data []byte, order binary.ByteOrder) ([]byte, error) {
	out := make([]byte, 0, len(data)/2)
	for len(data) >= 2 {
		r := rune(order.Uint16(data))
		data = data[2:]
		if utf16.IsSurrogate(r) {
			if len(data) < 2 {
				break
			}
			if r = utf16.DecodeRune(r, rune(order.Uint16(data))); r == utf8.RuneError {
				return nil, fmt.Errorf("%w: damaged UTF-16", ErrNotMetadata)
			}
			data = data[2:]
		}
		out = utf8.AppendRune(out, r)
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%w: UTF-16 that ends in the middle of a character", ErrNotMetadata)
	}
	return out, nil
}
