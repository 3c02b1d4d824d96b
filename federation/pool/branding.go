package pool

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/weir-id/weir/federation/fault"
	"github.com/weir-id/weir/federation/store"
)

// AllClients is the name in place of a client's id under which a pool keeps the look of all clients that have none of their own.
const AllClients = "ALL"

// Look is how the sign-in pages of a client are to look (UICustomizationType of the API model). It is kept for those who manage it;
// the pages of this release do not go by it.
type Look struct {
	PoolID   string    `json:"pool"`
	ClientID string    `json:"client"` // or AllClients
	CSS      string    `json:"css,omitempty"`
	Image    []byte    `json:"image,omitempty"`
	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`
}

// maxLook bounds CSS and image, in bytes each (CSSType, ImageFileType).
const maxLook = 128 * 1024

func (d *Directory) looks() *store.Kind[Look] {
	return &store.Kind[Look]{Engine: d.Engine, Name: "look", KeysOf: func(l *Look) store.Keys {
		return store.Keys{Key: lookKey(l.PoolID, l.ClientID), Index: []string{indexPrefix("pool", l.PoolID, "")}}
	}}
}

func lookKey(poolID, clientID string) string { return poolID + "/" + clientID }

// SetLook replaces the CSS (nil keeps it) and the image (nil keeps it) of a client, or of AllClients. With neither it takes the look away, as
// Terraform's provider does for lack of another operation: that of all clients then counts for the client again. Errors: fault.Invalid, fault.NotFound
// for pool and client.
func (d *Directory) SetLook(ctx context.Context, poolID, clientID string, css *string, image []byte) (Look, error) {
	if err := d.lookOwner(ctx, poolID, clientID); err != nil {
		return Look{}, err
	}
	if len(image) > maxLook || (css != nil && (len(*css) > maxLook || !storable(*css))) {
		return Look{}, fault.New(fault.Invalid, "CSS and image must not be larger than 128 KB.", nil)
	}
	if css != nil && strings.Contains(strings.ToLower(*css), "</style") {
		return Look{}, fault.New(fault.Invalid, "CSS must not hold the end of a style element.", nil)
	}
	if len(image) > 0 && !isImage(image) {
		return Look{}, fault.New(fault.Invalid, "ImageFile must be an image of the type PNG or JPEG.", nil)
	}
	if css == nil && image == nil {
		err := d.looks().Delete(ctx, lookKey(poolID, clientID))
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		return Look{}, storeFault("take UI customization away", err, noPool)
	}
	set := func(l *Look) error {
		if css != nil {
			l.CSS = *css
		}
		if image != nil {
			l.Image = image
		}
		l.Modified = d.now()
		return nil
	}
	key := lookKey(poolID, clientID)
	for range signInRounds {
		e, err := d.looks().Update(ctx, key, set)
		if err == nil || !errors.Is(err, store.ErrNotFound) {
			return e.Value, storeFault("set UI customization", err, noPool)
		}
		l := Look{PoolID: poolID, ClientID: clientID, Created: d.now()}
		_ = set(&l) // never an error
		_, err = d.looks().Put(ctx, &l, 0)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return Look{}, storeFault("set UI customization", err, noPool)
		}
		undo := func(ctx context.Context) error { return d.looks().Delete(ctx, key) }
		if err := d.created(ctx, poolID, undo); err != nil {
			return Look{}, err
		}
		// The client may have gone as well meanwhile, and takes its look along.
		if err := d.lookOwner(ctx, poolID, clientID); err != nil {
			return Look{}, errors.Join(err, undo(ctx))
		}
		return l, nil
	}
	return Look{}, storeFault("set UI customization", store.ErrConflict, noPool)
}

// isImage reports whether data begins as a PNG or JPEG file does. Anything else, SVG first of all, could have scripts in it for whoever is shown it.
func isImage(data []byte) bool {
	return bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")) || bytes.HasPrefix(data, []byte("\xff\xd8\xff"))
}

// LookOf returns the look of a client, or that of all clients where it has none; a zero Look where there is neither. Errors: fault.NotFound for pool and client.
func (d *Directory) LookOf(ctx context.Context, poolID, clientID string) (Look, error) {
	if err := d.lookOwner(ctx, poolID, clientID); err != nil {
		return Look{}, err
	}
	for _, id := range []string{clientID, AllClients} {
		e, err := d.looks().Get(ctx, lookKey(poolID, id))
		if !errors.Is(err, store.ErrNotFound) {
			return e.Value, storeFault("get UI customization", err, noPool)
		}
	}
	return Look{}, nil
}

// lookOwner checks that pool and client exist.
func (d *Directory) lookOwner(ctx context.Context, poolID, clientID string) error {
	if _, err := d.storedPool(ctx, poolID); err != nil || clientID == AllClients {
		return err
	}
	_, err := d.clientOf(ctx, poolID, clientID)
	return err
}
