package poolapi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	cognito "github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"
	"github.com/aws/smithy-go"

	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server/poolapi/sigv4"
	"github.com/weir-id/weir/server/servertest"
)

// The API as AWS's SDK for Go sees it: it makes the requests, signs them, reads answers and errors into its types and tries again
// as it does with the original. The files sdk_*_test.go know Weir by it alone.

// sdkOf is a client for w that signs with key; the zero Key is no credentials.
func sdkOf(w *servertest.Weir, key sigv4.Key, change ...func(*cognito.Options)) *cognito.Client {
	o := cognito.Options{
		Region: "local", BaseEndpoint: aws.String(w.URL), HTTPClient: w.Client(), Credentials: aws.AnonymousCredentials{},
		// Between two attempts it would wait for up to 20 seconds.
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond }),
	}
	if key.ID != "" {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret.Reveal()}, nil
		})
	}
	for _, c := range change {
		c(&o)
	}
	return cognito.New(o)
}

// newSDKRig is a rig whose clock shows this machine's time, which is what the SDK signs with, and a client of its administrator.
func newSDKRig(t *testing.T) (*rig, *cognito.Client) {
	t.Helper()
	r := newRig(t)
	r.Clock.Advance(time.Since(r.Clock.Now()))
	return r, sdkOf(r.Weir, servertest.AdminKey)
}

// code is the type of an error of the API, as SDKs name those that they have no type for; "" is another error.
func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestSDKReadsRefusalsOfTheDoor(t *testing.T) {
	reader := sigv4.Key{ID: "READER", Name: "rosa", Secret: secret.New("the secret of the reader rosa"), Allow: []string{"List*"}}
	w, _ := servertest.StartExample(t, func(o *servertest.Options) { o.AdminKeys = []sigv4.Key{reader} })
	w.Clock.Advance(time.Since(w.Clock.Now()))
	forger := servertest.AdminKey
	forger.Secret = secret.New("not the secret of the key of ada")
	group := &cognito.CreateGroupInput{UserPoolId: aws.String(servertest.PoolID), GroupName: aws.String("staff")}
	for why, c := range map[string]struct {
		key        sigv4.Key
		code, says string
	}{
		"no key":              {sigv4.Key{}, "MissingAuthenticationTokenException", "Missing Authentication Token"},
		"an unknown key":      {sigv4.Key{ID: "STRANGER", Secret: reader.Secret}, "UnrecognizedClientException", "security token"},
		"another secret":      {forger, "InvalidSignatureException", "does not match"},
		"not in its policy":   {reader, "AccessDeniedException", "User: rosa is not authorized to perform: cognito-idp:CreateGroup"},
		"administrator's key": {servertest.AdminKey, "", ""},
	} {
		_, err := sdkOf(w, c.key).CreateGroup(t.Context(), group)
		if code(err) != c.code || (err == nil) != (c.code == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s", why, err, c.code)
		}
	}
	_, err := sdkOf(w, servertest.AdminKey).CreateUserImportJob(t.Context(), &cognito.CreateUserImportJobInput{
		UserPoolId: aws.String(servertest.PoolID), JobName: aws.String("job"), CloudWatchLogsRoleArn: aws.String("arn:aws:iam::000000000000:role/import"),
	})
	if code(err) != "NotImplementedException" {
		t.Errorf("not built: %v", err)
	}
	var res *http.Response
	if e, ok := errors.AsType[*awshttp.ResponseError](err); !ok || e.RequestID == "" {
		t.Errorf("the SDK finds no request id in %#v", err)
	} else if res = e.Response.Response; res.Header.Get("X-Amzn-Requestid") != e.RequestID {
		t.Errorf("request id %s of %v", e.RequestID, res.Header)
	}
}

// A client whose clock is wrong signs with a time that is refused. The SDK sees from the answer's Date how far its clock is off, and signs again.
func TestSDKCorrectsAWrongClock(t *testing.T) {
	for name, off := range map[string]time.Duration{"slow": 10 * time.Minute, "fast": -10 * time.Minute, "a day": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			clock := servertest.NewClock()
			clock.Advance(time.Since(clock.Now()) + off)
			w, _ := servertest.StartExample(t, func(o *servertest.Options) {
				o.Wrap = func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						calls++
						w.Header().Set("Date", clock.Now().UTC().Format(http.TimeFormat)) // as a machine with that clock says it
						next.ServeHTTP(w, r)
					})
				}
				o.Clock = clock
			})
			client := sdkOf(w, servertest.AdminKey)
			for range 2 {
				if _, err := client.ListGroups(t.Context(), &cognito.ListGroupsInput{UserPoolId: aws.String(servertest.PoolID)}); err != nil {
					t.Fatal(err)
				}
			}
			if calls != 3 { // refused, corrected, and right at once
				t.Errorf("%d requests for two calls", calls)
			}
			if _, err := sdkOf(w, servertest.AdminKey, func(o *cognito.Options) { o.Retryer = aws.NopRetryer{} }).ListGroups(t.Context(),
				&cognito.ListGroupsInput{UserPoolId: aws.String(servertest.PoolID)}); code(err) != "InvalidSignatureException" {
				t.Errorf("without a second try: %v", err)
			}
		})
	}
}

// What may be better a moment later is tried again, and nothing else.
func TestSDKTriesAgain(t *testing.T) {
	r, _ := newSDKRig(t)
	calls := 0
	count := func(o *cognito.Options) {
		o.HTTPClient = httpClient(func(req *http.Request) (*http.Response, error) {
			if calls++; calls == 2 {
				r.Engine.SetDown(false)
			}
			return r.Client().Do(req)
		})
	}
	client := sdkOf(r.Weir, servertest.AdminKey, count)
	in := &cognito.ListGroupsInput{UserPoolId: aws.String(servertest.PoolID)}
	r.Engine.SetDown(true)
	if _, err := client.ListGroups(t.Context(), in); err != nil || calls != 2 {
		t.Errorf("a short outage: %v after %d requests", err, calls)
	}
	r.Engine.SetDown(true)
	if _, err := client.ListGroups(t.Context(), in); code(err) != "ServiceUnavailableException" || calls != 5 {
		t.Errorf("a long outage: %v after %d requests", err, calls)
	}
	r.Engine.SetDown(false)
	calls = 2
	if _, err := client.ListGroups(t.Context(), &cognito.ListGroupsInput{UserPoolId: aws.String("local_Nowhere01")}); !is[*types.ResourceNotFoundException](err) || calls != 3 {
		t.Errorf("no such pool: %v after %d requests", err, calls-2)
	}
}

type httpClient func(*http.Request) (*http.Response, error)

func (f httpClient) Do(r *http.Request) (*http.Response, error) { return f(r) }

// A signature in the query, as made by whoever hands a single call on.
func TestSDKsPresignedCall(t *testing.T) {
	r, _ := newSDKRig(t)
	req := r.nobody.Request("CreateGroup", body{"UserPoolId": servertest.PoolID, "GroupName": "staff"})
	req.URL.RawQuery = "X-Amz-Expires=60"
	data, _ := io.ReadAll(req.Body)
	sum := sha256.Sum256(data)
	by := aws.Credentials{AccessKeyID: servertest.AdminKey.ID, SecretAccessKey: servertest.AdminKey.Secret.Reveal()}
	signed, header, err := v4.NewSigner().PresignHTTP(t.Context(), by, req, hex.EncodeToString(sum[:]), "cognito-idp", "local", r.Clock.Now(),
		func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true }) // the operation stays a header
	if err != nil {
		t.Fatal(err)
	}
	send := func(at string, data []byte) *servertest.Answer {
		sent, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		sent.Header = header.Clone()
		sent.Header.Set("Content-Type", "application/x-amz-json-1.1")
		return r.SPA().Send(sent)
	}
	other := bytes.Replace(data, []byte("staff"), []byte("admin"), 1)
	wantRefusal(t, "CreateGroup", send(signed, other), "InvalidSignatureException", "does not match")
	if ans := send(signed, data); ans.Status != http.StatusOK {
		t.Errorf("%d %s", ans.Status, ans.Body)
	}
	r.Clock.Advance(2 * time.Minute)
	wantRefusal(t, "CreateGroup", send(signed, data), "InvalidSignatureException", "expired")
}

// What applications do without credentials.
func TestSDKRenewsAndEndsASignIn(t *testing.T) {
	r, _ := newSDKRig(t)
	client := sdkOf(r.Weir, sigv4.Key{})
	tokens := r.signIn("ada")
	access, refresh := aws.String(tokens.Text("access_token")), aws.String(tokens.Text("refresh_token"))
	again, err := client.InitiateAuth(t.Context(), &cognito.InitiateAuthInput{
		AuthFlow: types.AuthFlowTypeRefreshTokenAuth, ClientId: aws.String(servertest.SPAClient), AuthParameters: map[string]string{"REFRESH_TOKEN": *refresh},
	})
	if err != nil {
		t.Fatal(err)
	}
	newer, err := client.GetTokensFromRefreshToken(t.Context(), &cognito.GetTokensFromRefreshTokenInput{ClientId: aws.String(servertest.SPAClient), RefreshToken: refresh})
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []*types.AuthenticationResultType{again.AuthenticationResult, newer.AuthenticationResult} {
		claims, err := r.SPA().Verify(aws.ToString(got.IdToken))
		if err != nil || claims["email"] != "ada@corp.example" || got.ExpiresIn != 3600 {
			t.Errorf("%v %v, for %d s", err, claims, got.ExpiresIn)
		}
	}
	if _, err := client.GlobalSignOut(t.Context(), &cognito.GlobalSignOutInput{AccessToken: access}); err != nil {
		t.Fatal(err)
	}
	_, err = client.GlobalSignOut(t.Context(), &cognito.GlobalSignOutInput{AccessToken: access})
	if e, ok := errors.AsType[*types.NotAuthorizedException](err); !ok || e.ErrorMessage() != "Access Token has been revoked" {
		t.Errorf("signed out: %v", err)
	}
	if _, err = client.RevokeToken(t.Context(), &cognito.RevokeTokenInput{ClientId: aws.String(servertest.SPAClient), Token: access}); !is[*types.UnsupportedTokenTypeException](err) {
		t.Errorf("revoke an access token: %v", err)
	}
}
