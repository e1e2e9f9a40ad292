// Command render does what `helm template` does, for the tests of the chart in
// deploy/helm: Helm itself is in no package that can be installed everywhere the
// tests run, but the engine it is made of is. Go's text/template, sprig,
// sigs.k8s.io/yaml and gojsonschema all come from Debian.
//
// It reads one request as JSON on stdin and answers with JSON on stdout; whatever
// helm would refuse is the answer's "error". What is not here: subcharts,
// hooks, and a cluster to look things up in.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"
)

// Request is what the command line of helm would say.
type Request struct {
	// Chart is the directory of the chart.
	Chart string `json:"chart"`
	// Values are the texts of the values files, later ones winning.
	Values []string `json:"values"`
	// Release and Namespace name the release.
	Release   string `json:"release"`
	Namespace string `json:"namespace"`
	// KubeVersion is the cluster's, as "v1.30.0".
	KubeVersion string `json:"kube_version"`
	// JSONNumbers keeps numbers as json.Number, as newer versions of helm do,
	// instead of float64.
	JSONNumbers bool `json:"json_numbers"`
}

// Answer is what helm would print.
type Answer struct {
	Objects []Object `json:"objects"`
	Notes   string   `json:"notes"`
	Error   string   `json:"error,omitempty"`
}

// Object is one rendered Kubernetes object and the template it came from.
type Object struct {
	Template string      `json:"template"`
	Body     interface{} `json:"body"`
}

var separator = regexp.MustCompile(`(?m)^---\s*$`)

func main() {
	var request Request
	answer := Answer{}
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&request); err != nil {
		answer.Error = fmt.Sprintf("request: %v", err)
	} else if answer, err = render(request); err != nil {
		answer = Answer{Error: err.Error()}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func render(request Request) (Answer, error) {
	chart, err := loadChart(request)
	if err != nil {
		return Answer{}, err
	}
	texts, err := chart.execute(request)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{Objects: []Object{}}
	names := make([]string, 0, len(texts))
	for name := range texts {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if strings.HasSuffix(name, "NOTES.txt") {
			answer.Notes = texts[name]
			continue
		}
		for _, document := range separator.Split(texts[name], -1) {
			var body interface{}
			// Strict: a key given twice is a fault of the template.
			if err := yaml.UnmarshalStrict([]byte(document), &body); err != nil {
				return Answer{}, fmt.Errorf("%s: %v\n%s", name, err, document)
			}
			if body != nil {
				answer.Objects = append(answer.Objects, Object{name, body})
			}
		}
	}
	return answer, nil
}
