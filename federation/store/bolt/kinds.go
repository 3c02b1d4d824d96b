package bolt

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"
)

// Kinds returns the kinds that documents were ever written of, in bytewise order. All of a kind's documents may be gone, or expired.
func (db *DB) Kinds(ctx context.Context) ([]string, error) {
	var kinds []string
	err := db.view(ctx, func(tx *bbolt.Tx) error {
		c := tx.Cursor()
		prefix := []byte(docsPrefix)
		for name, _ := c.Seek(prefix); bytes.HasPrefix(name, prefix); name, _ = c.Next() {
			kinds = append(kinds, string(name[len(prefix):]))
		}
		return nil
	})
	return kinds, named("list kinds", "", err)
}
