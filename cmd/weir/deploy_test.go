package main_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	weir "github.com/weir-id/weir/cmd/weir"
	"github.com/weir-id/weir/config"
	"github.com/weir-id/weir/federation/secret"
	"github.com/weir-id/weir/server"
)

// These tests hold the files of deploy/ against the program, as far as that goes without a cluster, a container or systemd.

const deployDir = "../../deploy"

func readDeploy(t *testing.T, name string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(deployDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// documents decodes every document of a YAML file.
func documents(t *testing.T, name string) (docs []any) {
	t.Helper()
	for dec := yaml.NewDecoder(strings.NewReader(readDeploy(t, name))); ; {
		var doc any
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		docs = append(docs, doc)
	}
}

// object is a mapping of a YAML file.
type object map[string]any

func document(t *testing.T, name string) object {
	t.Helper()
	docs := documents(t, name)
	if len(docs) != 1 {
		t.Fatalf("%s: %d documents", name, len(docs))
	}
	return object(docs[0].(map[string]any))
}

// at follows keys, and numbers of list entries. It returns nil where there is nothing.
func (o object) at(path ...any) any {
	var v any = map[string]any(o)
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func (o object) want(t *testing.T, want any, path ...any) {
	t.Helper()
	if got := o.at(path...); got != want {
		t.Errorf("%v is %v, want %v", path, got, want)
	}
}

func (o object) list(path ...any) []object {
	l, _ := o.at(path...).([]any)
	out := make([]object, len(l))
	for i := range l {
		m, _ := l[i].(map[string]any)
		out[i] = m
	}
	return out
}

func (o object) texts(path ...any) (out []string) {
	l, _ := o.at(path...).([]any)
	for _, v := range l {
		s, _ := v.(string)
		out = append(out, s)
	}
	return out
}

// deployed loads a weir.yaml with made-up secrets in the place of those that the installation has, and returns the paths of these.
func deployed(t *testing.T, name string) (*config.Config, []string) {
	t.Helper()
	dir := t.TempDir()
	text := readDeploy(t, name)
	secrets := regexp.MustCompile(`\{file: (/[^}]+)\}`).FindAllStringSubmatch(text, -1)
	var paths []string
	for _, s := range secrets {
		paths = append(paths, s[1])
		content := secret.GenerateKey()
		if filepath.Base(s[1]) == "store" {
			content = "mongodb://weir:s3cret@mongo-0.mongo/weir?replicaSet=rs0"
		}
		file := filepath.Join(dir, filepath.Base(s[1]))
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, s[1], file)
	}
	if err := os.WriteFile(filepath.Join(dir, "weir.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(string) (string, bool) { return secret.GenerateKey(), true }
	cfg, err := config.Load(filepath.Join(dir, "weir.yaml"), env)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if _, warnings, err := cfg.SealingKeys.Open(env); err != nil || len(warnings) > 0 {
		t.Errorf("%s: sealing keys: %v, %v", name, warnings, err)
	}
	if name != "compose/weir.yaml" && len(cfg.Warnings) > 0 { // that one is for this machine
		t.Errorf("%s: %v", name, cfg.Warnings)
	}
	for _, file := range cfg.Apply {
		if _, err := config.LoadPools(filepath.Join(deployDir, filepath.Dir(name), filepath.Base(file)), env); err != nil {
			t.Errorf("%s: apply: %v", name, err)
		}
	}
	return cfg, paths
}

// drain is what a process is given before it is killed: it has to be longer than what it gives to requests.
func drain(t *testing.T, what string, given time.Duration) {
	t.Helper()
	if given < weir.DrainTime+5*time.Second {
		t.Errorf("%s: %s, but requests under way have %s", what, given, weir.DrainTime)
	}
}

func TestDeployHasNothingUnchecked(t *testing.T) {
	known := strings.Fields(`README.md Dockerfile Dockerfile.dockerignore compose/compose.yaml compose/pool.yaml compose/weir.yaml
		kubernetes/deployment.yaml kubernetes/disruption.yaml kubernetes/ingress.yaml kubernetes/kustomization.yaml kubernetes/secret.example.yaml
		kubernetes/service.yaml kubernetes/weir.yaml systemd/pool.yaml systemd/weir.service systemd/weir.sysusers systemd/weir.yaml`)
	var found []string
	err := fs.WalkDir(os.DirFS(deployDir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, name)
			if strings.HasSuffix(name, ".yaml") && len(documents(t, name)) != 1 {
				t.Errorf("%s: want one document", name)
			}
		}
		return err
	})
	slices.Sort(known)
	slices.Sort(found)
	if err != nil || !slices.Equal(found, known) {
		t.Errorf("files %q, tests are for %q (%v)", found, known, err)
	}
}

func TestDeployImage(t *testing.T) {
	file := readDeploy(t, "Dockerfile")
	stages := strings.Split(file, "\nFROM ")
	last := stages[len(stages)-1]
	if len(stages) != 3 || !strings.HasPrefix(last, "gcr.io/distroless/static-") || !strings.Contains(strings.SplitN(last, "\n", 2)[0], ":nonroot") {
		t.Errorf("want one stage that builds and one without a shell, have %d", len(stages)-1)
	}
	user := regexp.MustCompile(`(?m)^USER (\d+):\d+$`).FindStringSubmatch(last)
	if user == nil || user[1] == "0" {
		t.Errorf("user %v: want one by number that is not root", user)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile(`(?m)^\t(CGO_ENABLED=\d) \$\(GO\) build (.*) -o bin/weir (\S+)$`).FindSubmatch(makefile)
	if made == nil {
		t.Fatal("the Makefile builds in another way")
	}
	build := regexp.MustCompile(`(?m)^RUN CGO_ENABLED=.* go build .*$`).FindString(file)
	for _, flag := range made[1:] {
		if !strings.Contains(build, string(flag)) {
			t.Errorf("%s\nlacks the Makefile's %s", build, flag)
		}
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	release := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if !strings.Contains(file, "\nFROM golang:"+string(release[1])+" AS build\n") {
		t.Errorf("the image is not built with Go %s", release[1])
	}
	for _, name := range []string{"compose/weir.yaml", "kubernetes/weir.yaml"} {
		cfg, _ := deployed(t, name)
		if want := "EXPOSE " + cfg.Listen[1:] + " " + cfg.OperationsListen[1:]; !strings.Contains(last, want) {
			t.Errorf("%s listens on %s and %s", name, cfg.Listen, cfg.OperationsListen)
		}
	}
}

// TestDeployImageHasItsSources lets the go command find everything in what .dockerignore leaves.
func TestDeployImageHasItsSources(t *testing.T) {
	var keep, drop []string
	for _, line := range strings.Split(strings.TrimSpace(readDeploy(t, "Dockerfile.dockerignore")), "\n")[2:] {
		if name, ok := strings.CutPrefix(line, "!"); ok {
			keep = append(keep, name)
		} else {
			drop = append(drop, strings.TrimPrefix(line, "**/"))
		}
	}
	root, dir := os.DirFS("../.."), t.TempDir()
	for _, name := range keep {
		err := fs.WalkDir(root, name, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			for _, pattern := range drop {
				if ok, _ := filepath.Match(pattern, d.Name()); ok && d.IsDir() {
					return fs.SkipDir
				} else if ok {
					return nil
				}
			}
			if d.IsDir() {
				return os.MkdirAll(filepath.Join(dir, name), 0o700)
			}
			body, err := fs.ReadFile(root, name)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, name), body, 0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	list := func(dir string) string {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{.ImportPath}} {{.GoFiles}} {{.EmbedFiles}}", "./cmd/weir")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if here, there := list("../.."), list(dir); here != there {
		t.Error("the image would be built of other files than bin/weir")
	}
}

func TestDeployCompose(t *testing.T) {
	c := document(t, "compose/compose.yaml")
	cfg, _ := deployed(t, "compose/weir.yaml")
	address, err := url.Parse(cfg.Store.URI.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if c.at("services", address.Hostname()) == nil {
		t.Errorf("the store's host %s is no service", address.Hostname())
	}
	set := address.Query().Get("replicaSet")
	if !slices.Contains(c.texts("services", "mongo", "command"), set) || !strings.Contains(c.texts("services", "mongo", "healthcheck", "test")[4], "_id: '"+set+"'") {
		t.Errorf("the replica set %s is not that of the server", set)
	}
	c.want(t, "deploy/Dockerfile", "services", "weir", "build", "dockerfile")
	c.want(t, true, "services", "weir", "read_only")
	c.want(t, "ALL", "services", "weir", "cap_drop", 0)
	c.want(t, true, "networks", "inner", "internal")
	c.want(t, nil, "services", "mongo", "ports")
	if got := c.texts("services", "mongo", "networks"); !slices.Equal(got, []string{"inner"}) {
		t.Errorf("a database without a password is in the networks %q", got)
	}
	if c.at("services", "weir", "environment", cfg.SealingKeys.Env) == nil {
		t.Errorf("%s is not handed on", cfg.SealingKeys.Env)
	}
	for _, port := range c.texts("services", "weir", "ports") {
		if !strings.HasPrefix(port, "127.0.0.1:") || !strings.HasSuffix(port, cfg.Listen) && !strings.HasSuffix(port, cfg.OperationsListen) {
			t.Errorf("port %s", port)
		}
	}
	for _, volume := range c.texts("services", "weir", "volumes") {
		from, to, _ := strings.Cut(volume, ":")
		if readDeploy(t, filepath.Join("compose", from)) == "" || to != "/etc/weir/"+filepath.Base(from)+":ro" {
			t.Errorf("volume %s", volume)
		}
	}
	given, err := time.ParseDuration(c.at("services", "weir", "stop_grace_period").(string))
	if err != nil {
		t.Fatal(err)
	}
	drain(t, "compose", given)
}

func TestDeployKubernetes(t *testing.T) {
	cfg, secrets := deployed(t, "kubernetes/weir.yaml")
	deployment := document(t, "kubernetes/deployment.yaml")
	spec := object(deployment.at("spec", "template", "spec").(map[string]any))
	container := spec.list("containers")[0]

	for _, c := range []struct {
		in   object
		want any
		path []any
	}{
		{deployment, 3, []any{"spec", "replicas"}},
		{deployment, 0, []any{"spec", "strategy", "rollingUpdate", "maxUnavailable"}},
		{spec, true, []any{"securityContext", "runAsNonRoot"}},
		{spec, 65532, []any{"securityContext", "runAsUser"}},
		{spec, 65532, []any{"securityContext", "fsGroup"}},
		{spec, "RuntimeDefault", []any{"securityContext", "seccompProfile", "type"}},
		{spec, false, []any{"automountServiceAccountToken"}},
		{container, true, []any{"securityContext", "readOnlyRootFilesystem"}},
		{container, false, []any{"securityContext", "allowPrivilegeEscalation"}},
		{container, "ALL", []any{"securityContext", "capabilities", "drop", 0}},
		{container, "/etc/weir/weir.yaml", []any{"args", 2}},
		{document(t, "kubernetes/disruption.yaml"), 2, []any{"spec", "minAvailable"}},
	} {
		c.in.want(t, c.want, c.path...)
	}
	if !strings.Contains(readDeploy(t, "Dockerfile"), "\nUSER 65532:65532\n") {
		t.Error("the image has another user")
	}

	const label = "app.kubernetes.io/name"
	deployment.want(t, "weir", "spec", "template", "metadata", "labels", label)
	deployment.want(t, "weir", "spec", "selector", "matchLabels", label)
	document(t, "kubernetes/service.yaml").want(t, "weir", "spec", "selector", label)
	document(t, "kubernetes/disruption.yaml").want(t, "weir", "spec", "selector", "matchLabels", label) // an empty one is every pod
	for i := range spec.list("topologySpreadConstraints") {
		spec.want(t, "weir", "topologySpreadConstraints", i, "labelSelector", "matchLabels", label)
	}

	ports := map[string]string{}
	for _, p := range container.list("ports") {
		ports[p["name"].(string)] = ":" + strconv.Itoa(p["containerPort"].(int))
	}
	if want := map[string]string{"http": cfg.Listen, "ops": cfg.OperationsListen}; !maps.Equal(ports, want) {
		t.Errorf("ports %v, weir.yaml has %v", ports, want)
	}
	ops := (&server.Server{Metrics: server.NewMetrics("test")}).Operations(func(context.Context) error { return nil })
	for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
		path, _ := container.at(probe, "httpGet", "path").(string)
		container.want(t, "ops", probe, "httpGet", "port")
		if want := map[string]string{"livenessProbe": "/livez"}[probe]; want != "" && path != want || want == "" && path != "/readyz" {
			t.Errorf("%s asks %q", probe, path)
		}
		rec := httptest.NewRecorder()
		ops.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if rec.Code != http.StatusOK {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
	wait := time.Duration(container.at("lifecycle", "preStop", "sleep", "seconds").(int)) * time.Second
	drain(t, "kubernetes", time.Duration(spec.at("terminationGracePeriodSeconds").(int))*time.Second-wait)

	checkKubernetesSecrets(t, spec, container, secrets)
	checkKubernetesWay(t, cfg)
}

// checkKubernetesSecrets: what weir.yaml reads is mounted, and is in the Secret, whose example cannot be used in earnest.
func checkKubernetesSecrets(t *testing.T, spec, container object, paths []string) {
	t.Helper()
	mounts := map[string]string{}
	for _, m := range container.list("volumeMounts") {
		mounts[m["name"].(string)] = m["mountPath"].(string)
		for _, other := range mounts {
			if other != m["mountPath"] && strings.HasPrefix(m["mountPath"].(string), other+"/") {
				t.Errorf("%s is within %s, where nothing can be made to mount it on", m["mountPath"], other)
			}
		}
	}
	volumes := spec.list("volumes")
	volumes[0].want(t, "weir", "configMap", "name")
	volumes[1].want(t, "weir", "secret", "secretName")
	example := document(t, "kubernetes/secret.example.yaml")
	example.want(t, "weir", "metadata", "name")
	data, _ := example.at("stringData").(map[string]any)
	var want []string
	for _, p := range paths {
		if filepath.Dir(p) != mounts["secrets"] {
			t.Errorf("%s is not in the Secret's volume", p)
		}
		want = append(want, filepath.Base(p))
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(data)); !slices.Equal(got, want) {
		t.Errorf("the example has %q, weir.yaml reads %q", got, want)
	}
	if _, err := secret.ParseRing(strings.NewReader(data["sealing.keys"].(string))); err == nil || data["admin-secret"] != "" {
		t.Error("the example's keys would be accepted")
	}
	if _, err := config.ParseStore(data["store"].(string)); err == nil {
		t.Error("the example's store would be accepted")
	}
}

// checkKubernetesWay: a request finds its way from the Ingress to the public port.
func checkKubernetesWay(t *testing.T, cfg *config.Config) {
	t.Helper()
	ingress, service := document(t, "kubernetes/ingress.yaml"), document(t, "kubernetes/service.yaml")
	ingress.want(t, host(cfg.BaseURL), "spec", "rules", 0, "host")
	ingress.want(t, host(cfg.BaseURL), "spec", "tls", 0, "hosts", 0)
	backend := object(ingress.at("spec", "rules", 0, "http", "paths", 0, "backend", "service").(map[string]any))
	backend.want(t, service.at("metadata", "name"), "name")
	backend.want(t, service.at("spec", "ports", 0, "name"), "port", "name")
	service.want(t, "http", "spec", "ports", 0, "targetPort")
	if len(service.list("spec", "ports")) != 1 {
		t.Error("the operations port is not for a Service")
	}
	k := document(t, "kubernetes/kustomization.yaml")
	names := append(k.texts("resources"), k.texts("configMapGenerator", 0, "files")...)
	slices.Sort(names)
	if want := strings.Fields("deployment.yaml disruption.yaml ingress.yaml service.yaml weir.yaml"); !slices.Equal(names, want) {
		t.Errorf("the kustomization has %q, want %q", names, want)
	}
	for _, name := range names {
		readDeploy(t, filepath.Join("kubernetes", name))
	}
	k.want(t, "weir", "configMapGenerator", 0, "name")
	k.want(t, document(t, "kubernetes/deployment.yaml").at("spec", "template", "spec", "containers", 0, "image"), "images", 0, "name")
}

func TestDeploySystemd(t *testing.T) {
	cfg, secrets := deployed(t, "systemd/weir.yaml")
	unit := map[string]string{}
	for line := range strings.Lines(readDeploy(t, "systemd/weir.service")) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			unit[key] = value
		}
	}
	for key, want := range map[string]string{
		"NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "CapabilityBoundingSet": "", "StateDirectoryMode": "0700",
		"ExecStart": "/usr/local/bin/weir serve --config /etc/weir/weir.yaml", "WantedBy": "multi-user.target", "SystemCallErrorNumber": "EPERM",
	} {
		if got, ok := unit[key]; !ok || got != want {
			t.Errorf("%s=%s, want %s", key, got, want)
		}
	}
	if _, ok := unit["LimitAS"]; ok {
		t.Error("the store maps 32 GiB ahead")
	}
	if dir := "/var/lib/" + unit["StateDirectory"]; filepath.Dir(cfg.Store.Path) != dir {
		t.Errorf("the store is in %s, the only directory to write in is %s", cfg.Store.Path, dir)
	}
	if !strings.HasPrefix(readDeploy(t, "systemd/weir.sysusers"), "u "+unit["User"]+" - ") || unit["User"] == "root" {
		t.Errorf("the user %s is not made", unit["User"])
	}
	seconds, err := strconv.Atoi(unit["TimeoutStopSec"])
	if err != nil {
		t.Fatal(err)
	}
	drain(t, "systemd", time.Duration(seconds)*time.Second)
	readme := readDeploy(t, "README.md")
	for _, s := range secrets {
		if !strings.Contains(readme, "> "+s) {
			t.Errorf("nobody makes %s", s)
		}
	}
}
