package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weir-id/weir/federation/pool/api"
)

func TestTheModelIsWhole(t *testing.T) {
	m := api.TheModel()
	published, unsigned := 0, 0
	for name, op := range m.Operations {
		if op.Unsigned {
			unsigned++
		}
		if !op.Own {
			published++
		}
		if m.Shapes[op.Input].Type != "structure" {
			t.Errorf("%s: no input", name)
		}
		if op.Output != "" && m.Shapes[op.Output].Type != "structure" {
			t.Errorf("%s: output %q is not in the model", name, op.Output)
		}
		if len(op.Errors) == 0 {
			t.Errorf("%s: no errors", name)
		}
	}
	if published != 129 {
		t.Errorf("%d operations, the published model has 129", published)
	}
	if unsigned != 32 {
		t.Errorf("%d unsigned operations, the published model has 32", unsigned)
	}
}

// An own operation or shape must not change what the published model says.
func TestOurOwnModelAddsAndReplacesNothing(t *testing.T) {
	published := `{"operations":{"A":{"in":"I","errors":["E"]}},"shapes":{"I":{"type":"structure"}}}`
	for own, want := range map[string]string{
		`{"operations":{"A":{"in":"I"}}}`:                                     "the operation A is in both",
		`{"shapes":{"I":{"type":"structure"}}}`:                               "the shape I is in both",
		`{"operations":{"B":{"in":"J"}},"shapes":{"J":{"type":"structure"}}}`: "",
	} {
		m, err := api.ReadModel([]byte(published), []byte(own))
		switch {
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", own, err, want)
		case want == "" && (err != nil || !m.Operations["B"].Own || m.Operations["A"].Own):
			t.Errorf("%s: %v, %+v", own, err, m)
		}
	}
}

func TestPatternsCompile(t *testing.T) {
	for name, s := range api.TheModel().Shapes {
		if _, err := regexp.Compile(`\A(?:` + s.Pattern + `)\z`); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParse(t *testing.T) {
	pool := `"UserPoolId":"local_Example01"`
	for name, c := range map[string]struct{ op, body, want string }{
		"good":                  {"DescribeUserPool", `{` + pool + `}`, ""},
		"null is absent":        {"ListUsers", `{` + pool + `,"Filter":null}`, ""},
		"unknown member":        {"DescribeUserPool", `{` + pool + `,"Later":{"a":1}}`, ""},
		"whole number as float": {"ListUserPools", `{"MaxResults":3.0}`, ""},
		"missing": {"DescribeUserPool", `{}`,
			"InvalidParameterException: 1 validation error detected: Value at 'userPoolId' failed to satisfy constraint: Member must not be null"},
		"no body": {"DescribeUserPool", ``, "InvalidParameterException: 1 validation error detected: Value at 'userPoolId'"},
		"several": {"AdminGetUser", `{"UserPoolId":"nounderscore","Username":""}`,
			"InvalidParameterException: 3 validation errors detected: Value at 'userPoolId' failed to satisfy constraint: " +
				`Member must satisfy regular expression pattern: [\w-]+_[0-9a-zA-Z]+; ` +
				"Value at 'username' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		"other case of a name": {"DescribeUserPool", `{"userPoolId":"local_Example01"}`,
			"InvalidParameterException: 1 validation error detected: Value at 'userPoolId' failed to satisfy constraint: Member must not be null"},
		"too long": {"CreateUserPool", `{"PoolName":"` + strings.Repeat("a", 129) + `"}`,
			"InvalidParameterException: 1 validation error detected: Value at 'poolName' failed to satisfy constraint: Member must have length less than or equal to 128"},
		"too many": {"ListUserPools", `{"MaxResults":61}`,
			"InvalidParameterException: 1 validation error detected: Value at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 60"},
		"enum": {"CreateUserPool", `{"PoolName":"a","MfaConfiguration":"YES"}`, "InvalidParameterException: 1 validation error detected: " +
			"Value at 'mfaConfiguration' failed to satisfy constraint: Member must satisfy enum value set: [OFF, ON, OPTIONAL]"},
		"member of an object in a list": {"AdminCreateUser", `{` + pool + `,"Username":"a","UserAttributes":[{"Name":"email"},{"Value":"x"}]}`,
			"InvalidParameterException: 1 validation error detected: Value at 'userAttributes.2.member.name' failed to satisfy constraint: Member must not be null"},
		"scalar in a list": {"CreateUserPoolClient", `{` + pool + `,"ClientName":"a","AllowedOAuthFlows":["code","password"]}`,
			"InvalidParameterException: 1 validation error detected: Value at 'allowedOAuthFlows' failed to satisfy constraint: " +
				"Member must satisfy constraint: [Member must satisfy enum value set: [code, implicit, client_credentials], Member must not be null]"},
		"key of a map": {"TagResource", `{"ResourceArn":"arn:aws:cognito-idp:local:000000000000:userpool/local_Example01","Tags":{"":"x"}}`,
			"InvalidParameterException: 1 validation error detected: Value at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [" +
				"Member must have length less than or equal to 128, Member must have length greater than or equal to 1, Member must not be null]"},
		"list that is too long": {"CreateUserPoolClient", `{` + pool + `,"ClientName":"a","AllowedOAuthFlows":["code","code","code","code"]}`,
			"Member must have length less than or equal to 3"},
		"one character as a provider's name": {"DescribeIdentityProvider", `{` + pool + `,"ProviderName":"A"}`, ""},
		"number for text":                    {"DescribeUserPool", `{"UserPoolId":7}`, "SerializationException: Value at 'userPoolId' must be a string."},
		"text for number":                    {"ListUserPools", `{"MaxResults":"7"}`, "SerializationException: Value at 'maxResults' must be a whole number."},
		"fraction":                           {"ListUserPools", `{"MaxResults":7.5}`, "SerializationException: Value at 'maxResults' must be a whole number."},
		"number beyond 32 bits":              {"ListUserPools", `{"MaxResults":4294967297}`, "InvalidParameterException"},
		"list for object":                    {"CreateUserPool", `{"PoolName":"a","Policies":[]}`, "SerializationException: Value at 'policies' must be an object."},
		"object for list":                    {"CreateUserPool", `{"PoolName":"a","Schema":{}}`, "SerializationException: Value at 'schema' must be a list."},
		"null in a list":                     {"CreateUserPool", `{"PoolName":"a","Schema":[null]}`, "SerializationException: Value at 'schema.1.member'"},
		"number in a list of text":           {"UntagResource", `{"ResourceArn":"arn:aws:a:b:1:c","TagKeys":[1]}`, "SerializationException: Value at 'tagKeys' must be made of"},
		"bad base64":                         {"SetUICustomization", `{` + pool + `,"ImageFile":"%"}`, "SerializationException: Value at 'imageFile' must be base64 text."},
		"a list":                             {"DescribeUserPool", `[]`, "SerializationException: The body of the request must be one JSON object: it is not an object."},
		"no JSON":                            {"DescribeUserPool", `{`, "SerializationException: The body of the request must be one JSON object: it is not valid JSON."},
		"two objects":                        {"DescribeUserPool", `{} {}`, "SerializationException: The body of the request must be one JSON object: something follows the object."},
		"not UTF-8":                          {"DescribeUserPool", "{\"UserPoolId\":\"\xff\"}", "SerializationException"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := api.Parse(c.op, []byte(c.body))
			if got := fmt.Sprint(err); c.want == "" && err != nil || !strings.Contains(got, c.want) {
				t.Errorf("error %q, want %q", got, c.want)
			}
			if e := (*api.InputError)(nil); err != nil && !errors.As(err, &e) {
				t.Errorf("error of type %T", err)
			}
		})
	}
}

// What is checked is what is used: encoding/json by itself takes other cases of a name too.
func TestOnlyExactNamesReachTheOperation(t *testing.T) {
	in, err := api.Parse("AdminGetUser", []byte(`{"UserPoolId":"local_Mine00001","userPoolId":"local_Other0001","USERPOOLID":"local_Other0001","Username":"ann"}`))
	if err != nil {
		t.Fatal(err)
	}
	var req api.AdminGetUserRequest
	if err := in.Into(&req); err != nil {
		t.Fatal(err)
	}
	if req.UserPoolID != "local_Mine00001" || in.Text("UserPoolId") != req.UserPoolID {
		t.Errorf("checked %q, used %q", in.Text("UserPoolId"), req.UserPoolID)
	}
}

func TestValuesOnTheWire(t *testing.T) {
	out := api.UserPoolClientType{
		ClientID: "a", ClientSecret: api.NewSecret("hunter2"), CallbackURLs: []string{}, EnableTokenRevocation: new(false),
		CreationDate: api.TimeOf(time.UnixMilli(1700000000123)), LastModifiedDate: api.TimeOf(time.Unix(1700000000, 0)),
	}
	data, err := json.Marshal(out)
	const want = `{"CallbackURLs":[],"ClientId":"a","ClientSecret":"hunter2","CreationDate":1700000000.123,"EnableTokenRevocation":false,"LastModifiedDate":1700000000}`
	if err != nil || string(data) != want {
		t.Errorf("written as %s, %v", data, err)
	}
	var back api.UserPoolClientType
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back.ClientSecret, out.ClientSecret) || !back.CreationDate.Equal(out.CreationDate.Time) {
		t.Errorf("read as %+v, %v", back, err)
	}
	if s := fmt.Sprintf("%v %+v %#v", out, out, out.ClientSecret); strings.Contains(s, "hunter2") {
		t.Errorf("printed: %s", s)
	}
}

// A body can break a constraint with every third byte: it must not cost a thousand times its size, nor be answered at length.
func TestManyViolationsCostLittle(t *testing.T) {
	const elements = 100_000
	many := []byte(`{"UserAttributes":[{}` + strings.Repeat(",{}", elements) + `]}`)
	var err error
	allocated := testing.AllocsPerRun(1, func() { _, err = api.Parse("UpdateUserAttributes", many) })
	if err == nil || len(err.Error()) > 4096 || allocated > 3*elements {
		t.Errorf("%.0f allocations, %.300v", allocated, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("CreateUserPool", `{"PoolName":"a","Schema":[{"Name":"x"}],"UserPoolTags":{"a":"b"}}`)
	f.Add("AdminCreateUser", `{"UserPoolId":"local_a","Username":"a","UserAttributes":[{"Name":"email","Value":"v"}]}`)
	names := api.OperationNames()
	f.Fuzz(func(t *testing.T, op, body string) {
		if _, ok := api.TheModel().Operations[op]; !ok {
			op = names[len(body)%len(names)]
		}
		in, err := api.Parse(op, []byte(body))
		if e := (*api.InputError)(nil); err != nil {
			if !errors.As(err, &e) {
				t.Fatalf("%s: %v", op, err)
			}
			return
		}
		var out map[string]any
		if err := in.Into(&out); err != nil {
			t.Fatalf("%s: %v", op, err)
		}
	})
}
