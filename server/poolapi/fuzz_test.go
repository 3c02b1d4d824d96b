package poolapi_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/weir-id/weir/federation/pool/api"
	"github.com/weir-id/weir/server/poolapi"
	"github.com/weir-id/weir/server/servertest"
)

// The id in an ARN is what follows userpool/, and nothing that a policy could read otherwise.
func FuzzPoolOfARN(f *testing.F) {
	for _, arn := range []string{
		"arn:aws:cognito-idp:local:000000000000:userpool/local_Example01", "arn:aws-cn:cognito-idp:cn-north-1:1:userpool/a_b", "arn:aws:cognito-idp:::userpool/",
		"arn:aws:s3:::bucket", "arn:aws:cognito-idp:x:y:userpool/a_b/client/c", "arn:aws:cognito-idp:x:y:userpool/a_b:c", "::::::", "",
	} {
		f.Add(arn)
	}
	f.Fuzz(func(t *testing.T, arn string) {
		id, err := poolapi.PoolOfARN(arn)
		if err != nil {
			if id != "" {
				t.Errorf("%q, and %v", id, err)
			}
			return
		}
		if id == "" || !strings.HasSuffix(arn, ":userpool/"+id) || !strings.HasPrefix(arn, "arn:") || !strings.Contains(arn, ":cognito-idp:") {
			t.Errorf("%q of %q", id, arn)
		}
	})
}

// Whatever is sent to whichever operation, by an administrator, is answered in the API's own form and is no fault of ours.
func FuzzCall(f *testing.F) {
	names := api.OperationNames()
	for i := range names {
		f.Add(uint8(i), `{"UserPoolId":"`+servertest.PoolID+`"}`)
	}
	for i, name := range names {
		switch name {
		case "CreateGroup", "UpdateGroup":
			f.Add(uint8(i), `{"UserPoolId":"local_Example01","GroupName":"g","Precedence":1e2,"RoleArn":"arn:aws:iam::000000000000:role/x"}`)
		case "AdminCreateUser":
			f.Add(uint8(i), `{"UserPoolId":"local_Example01","Username":"a\u00e4","MessageAction":"SUPPRESS","UserAttributes":[{"Name":"email","Value":"a@b.c"}]}`)
		case "ListUsers":
			f.Add(uint8(i), `{"UserPoolId":"local_Example01","Filter":"email ^= \"a\\\"b\"","Limit":0,"PaginationToken":"x"}`)
		case "CreateUserPoolClient":
			f.Add(uint8(i), `{"UserPoolId":"local_Example01","ClientName":"c","CallbackURLs":["https://a.b/c"],"TokenValidityUnits":{"IdToken":"days"},"IdTokenValidity":1}`)
		case "CreateUserPool":
			f.Add(uint8(i), `{"PoolName":"p","Schema":[{"Name":"x","AttributeDataType":"Number","NumberAttributeConstraints":{"MinValue":"1e9"}}],"Policies":{}}`)
		case "CreateIdentityProvider":
			f.Add(uint8(i), `{"UserPoolId":"local_Example01","ProviderName":"P","ProviderType":"SAML","ProviderDetails":{"MetadataFile":"<x/>"},"AttributeMapping":{"email":"e"}}`)
		case "AdminLinkProviderForUser":
			f.Add(uint8(i), `{"UserPoolId":"local_Example01","DestinationUser":{"ProviderName":"Cognito","ProviderAttributeValue":"a"},"SourceUser":{"ProviderName":"Corp","ProviderAttributeName":"Cognito_Subject","ProviderAttributeValue":"s"}}`)
		}
	}
	w, _ := servertest.StartExample(f)
	key := aws.Credentials{AccessKeyID: servertest.AdminKey.ID, SecretAccessKey: servertest.AdminKey.Secret.Reveal()}
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		name := names[int(which)%len(names)]
		if name == "DeleteUserPool" || strings.Contains(text, "URL") || strings.Contains(text, "issuer") {
			return // the pool is needed, and nothing is to be fetched
		}
		rec := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/", strings.NewReader(text))
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		prefix := "AWSCognitoIdentityProviderService."
		if api.TheModel().Operations[name].Own {
			prefix = "Weir."
		}
		req.Header.Set("X-Amz-Target", prefix+name)
		sum := sha256.Sum256([]byte(text))
		if err := v4.NewSigner().SignHTTP(t.Context(), key, req, hex.EncodeToString(sum[:]), "cognito-idp", "local", w.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		w.Handler.ServeHTTP(rec, req)
		if rec.Code >= 500 && rec.Code != 503 || rec.Header().Get("X-Amzn-Requestid") == "" {
			t.Errorf("%s %q: %d %s", name, text, rec.Code, rec.Body)
		}
		if body := rec.Body.Bytes(); len(bytes.TrimSpace(body)) > 0 && !json.Valid(body) {
			t.Errorf("%s %q: %s", name, text, body)
		}
	})
}
