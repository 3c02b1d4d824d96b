package pool

import (
	"context"
	"maps"
)

// Tag gives a pool tags, in place of those of the same keys, in one step. Errors: fault.Invalid, fault.NotFound.
func (d *Directory) Tag(ctx context.Context, poolID string, tags map[string]string) error {
	_, err := d.ChangePool(ctx, poolID, func(p *Pool) error {
		p.Tags = maps.Clone(p.Tags)
		if p.Tags == nil {
			p.Tags = map[string]string{}
		}
		maps.Copy(p.Tags, tags)
		return nil
	})
	return err
}

// Untag takes tags from a pool in one step; those that it does not have are no error. Errors: fault.NotFound.
func (d *Directory) Untag(ctx context.Context, poolID string, keys []string) error {
	_, err := d.ChangePool(ctx, poolID, func(p *Pool) error {
		p.Tags = maps.Clone(p.Tags)
		for _, k := range keys {
			delete(p.Tags, k)
		}
		return nil
	})
	return err
}

// AddAttributes adds custom attributes to a pool's schema, all or none, in one step. Names come with or without their prefix. Errors: fault.Invalid with every
// problem, fault.NotFound.
func (d *Directory) AddAttributes(ctx context.Context, poolID string, specs []SchemaSpec) (Pool, error) {
	return d.ChangePool(ctx, poolID, func(p *Pool) error {
		var ps Problems
		for i, s := range specs {
			path := at("CustomAttributes", i)
			a, found := customFrom(s)
			ps.under(path, found)
			ps.under(path, validateCustom(a))
			ps.under(path, validateConstraints(a))
			if _, there := p.Attribute(a.Name); there {
				ps.add("", a.Name+": Existing attribute already has name "+a.Name)
				continue
			}
			p.Schema = append(p.Schema, a)
		}
		return ps.fault()
	})
}

// SchemaFrom returns the schema of a new pool that declares these attributes: the standard ones, changed where a spec names
// them, and the custom ones. Errors: fault.Invalid with every problem.
func SchemaFrom(specs []SchemaSpec) ([]SchemaAttribute, error) {
	schema, ps := schemaFrom(specs)
	return schema, ps.fault()
}
