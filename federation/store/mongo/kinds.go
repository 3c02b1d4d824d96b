package mongo

import (
	"context"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Kinds returns the kinds that there are records of, in bytewise order: of each the first _id is read, and then what comes behind all
// of its others. All documents of a kind may have expired.
func (db *DB) Kinds(ctx context.Context) ([]string, error) {
	leave, err := db.enter(ctx)
	if err != nil {
		return nil, named("list kinds", "", err)
	}
	defer leave()
	var kinds []string
	for from := ""; ; {
		filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: from}}}}
		first, err := db.records(ctx, filter, options.Find().SetSort(byIDUp).SetLimit(1).SetProjection(bson.D{{Key: "_id", Value: 1}}))
		if err != nil {
			return nil, named("list kinds", "", err)
		}
		if len(first) == 0 {
			return kinds, nil
		}
		kind, _, _ := strings.Cut(first[0].ID, separator)
		kinds = append(kinds, decode(kind))
		from = join(kind, behind)
	}
}
