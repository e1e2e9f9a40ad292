package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"text/template"

	"github.com/Masterminds/semver"
	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

// maxIncludes stops templates that include each other for ever.
const maxIncludes = 1000

// kubeVersion is .Capabilities.KubeVersion.
type kubeVersion struct{ Version, Major, Minor string }

func (version kubeVersion) String() string { return version.Version }

// apiVersions is .Capabilities.APIVersions; without a cluster, empty.
type apiVersions []string

// Has says whether the cluster knows an API version.
func (known apiVersions) Has(wanted string) bool {
	for _, version := range known {
		if version == wanted {
			return true
		}
	}
	return false
}

func (chart *Chart) execute(request Request) (map[string]string, error) {
	version, err := semver.NewVersion(request.KubeVersion)
	if err != nil {
		return nil, fmt.Errorf("kube_version: %v", err)
	}
	root := template.New("chart").Option("missingkey=zero")
	root.Funcs(functions(root))
	for name, text := range chart.Templates {
		if _, err := root.New(name).Parse(text); err != nil {
			return nil, err
		}
	}
	texts := map[string]string{}
	for name := range chart.Templates {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		context := map[string]interface{}{
			"Values": chart.Values,
			"Chart":  chart.Meta,
			"Release": map[string]interface{}{
				"Name": request.Release, "Namespace": request.Namespace, "Service": "Helm",
				"IsInstall": true, "IsUpgrade": false, "Revision": 1,
			},
			"Capabilities": map[string]interface{}{
				"KubeVersion": kubeVersion{
					Version: request.KubeVersion,
					Major:   fmt.Sprint(version.Major()),
					Minor:   fmt.Sprint(version.Minor()),
				},
				"APIVersions": apiVersions{},
			},
			"Template": map[string]interface{}{"Name": name, "BasePath": path.Dir(name)},
		}
		text := &strings.Builder{}
		if err := root.ExecuteTemplate(text, name, context); err != nil {
			return nil, err
		}
		// A missing key prints as this, and as nothing under helm.
		texts[name] = strings.ReplaceAll(text.String(), "<no value>", "")
	}
	return texts, nil
}

// functions are sprig's without those that read the machine, and helm's own.
func functions(root *template.Template) template.FuncMap {
	all := sprig.TxtFuncMap()
	for _, name := range []string{"env", "expandenv", "getHostByName"} {
		delete(all, name)
	}
	depth := map[string]int{}
	all["include"] = func(name string, context interface{}) (string, error) {
		if depth[name]++; depth[name] > maxIncludes {
			return "", fmt.Errorf("include %q: nested too deep", name)
		}
		defer func() { depth[name]-- }()
		text := &strings.Builder{}
		err := root.ExecuteTemplate(text, name, context)
		return text.String(), err
	}
	all["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, errors.New(message)
		}
		return value, nil
	}
	all["toYaml"] = func(value interface{}) string {
		text, err := yaml.Marshal(value)
		if err != nil {
			return ""
		}
		return strings.TrimSuffix(string(text), "\n")
	}
	all["toJson"] = func(value interface{}) string {
		text, err := json.Marshal(value)
		if err != nil {
			return ""
		}
		return string(text)
	}
	// Like helm, these put a fault into the value instead of stopping.
	all["fromJson"] = func(text string) map[string]interface{} {
		values := map[string]interface{}{}
		if err := json.Unmarshal([]byte(text), &values); err != nil {
			values["Error"] = err.Error()
		}
		return values
	}
	all["fromJsonArray"] = func(text string) []interface{} {
		values := []interface{}{}
		if err := json.Unmarshal([]byte(text), &values); err != nil {
			values = []interface{}{err.Error()}
		}
		return values
	}
	return all
}
