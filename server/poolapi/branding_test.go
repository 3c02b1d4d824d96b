package poolapi_test

import (
	"encoding/base64"
	"reflect"

	"github.com/weir-id/weir/server/servertest"
)

func brandingContracts() map[string]contract {
	const css = ".banner-customizable{color:red}"
	unknown := refused{"unknown client", "ResourceNotFoundException", "", func(_ *rig, in body) { in["ClientId"] = "unknown" }}
	return map[string]contract{
		"SetUICustomization": {
			in: func(*rig) body {
				return body{"UserPoolId": servertest.PoolID, "ClientId": servertest.WebClient, "CSS": css, "ImageFile": base64.StdEncoding.EncodeToString([]byte("\x89PNG\r\n\x1a\nand more"))}
			},
			check: func(r *rig, in, out body) {
				got := out["UICustomization"].(body)
				wantMembers(r, in, got, "ImageFile")
				if got["CSSVersion"] == "" || got["CreationDate"] == nil || got["LastModifiedDate"] == nil {
					r.Errorf("look %v", got)
				}
				again := r.must("GetUICustomization", body{"UserPoolId": servertest.PoolID, "ClientId": servertest.WebClient})
				if !reflect.DeepEqual(again["UICustomization"], out["UICustomization"]) {
					r.Errorf("read back %v", again)
				}
			},
			refusals: []refused{
				unknown,
				{"an end of the style sheet", "InvalidParameterException", "style element", func(_ *rig, in body) { in["CSS"] = css + "</STYLE ><script>alert(1)</script>" }},
				{"an image with scripts", "InvalidParameterException", "PNG or JPEG", func(_ *rig, in body) {
					in["ImageFile"] = base64.StdEncoding.EncodeToString([]byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`))
				}},
			},
		},
		"GetUICustomization": {
			in: func(*rig) body { return body{"UserPoolId": servertest.PoolID, "ClientId": servertest.SPAClient} },
			check: func(r *rig, in, out body) {
				if !reflect.DeepEqual(out, body{"UICustomization": body{}}) {
					r.Errorf("none: %v", out)
				}
				r.must("SetUICustomization", body{"UserPoolId": servertest.PoolID, "CSS": css})
				wantMembers(r, body{"ClientId": "ALL", "CSS": css}, r.must("GetUICustomization", in)["UICustomization"].(body))
			},
			refusals: []refused{unknown},
		},
	}
}
