package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/xeipuuv/gojsonschema"
	"sigs.k8s.io/yaml"
)

// Chart is a chart read from disk, with its values already merged and checked.
type Chart struct {
	// Meta is Chart.yaml, its keys spelt as templates use them (.Chart.AppVersion).
	Meta map[string]interface{}
	// Values are the chart's own with the user's laid over them.
	Values map[string]interface{}
	// Templates maps "davylamp/templates/x.yaml" to its text.
	Templates map[string]string
}

func loadChart(request Request) (*Chart, error) {
	chart := &Chart{Meta: map[string]interface{}{}, Templates: map[string]string{}}
	meta, err := readMap(filepath.Join(request.Chart, "Chart.yaml"), false)
	if err != nil {
		return nil, err
	}
	for key, value := range meta {
		chart.Meta[strings.ToUpper(key[:1])+key[1:]] = value
	}
	defaults, err := readMap(filepath.Join(request.Chart, "values.yaml"), request.JSONNumbers)
	if err != nil {
		return nil, err
	}
	given := map[string]interface{}{}
	for _, text := range request.Values {
		values, err := parseMap([]byte(text), request.JSONNumbers)
		if err != nil {
			return nil, fmt.Errorf("values: %v", err)
		}
		overlay(given, values)
	}
	coalesce(given, defaults)
	chart.Values = given
	if err := validate(filepath.Join(request.Chart, "values.schema.json"), given); err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(request.Chart, "templates", "*"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		chart.Templates[fmt.Sprintf("%v/templates/%s", meta["name"], filepath.Base(path))] = string(text)
	}
	return chart, nil
}

func readMap(path string, jsonNumbers bool) (map[string]interface{}, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values, err := parseMap(text, jsonNumbers)
	if err != nil {
		return nil, fmt.Errorf("%s: %v", filepath.Base(path), err)
	}
	return values, nil
}

func parseMap(text []byte, jsonNumbers bool) (map[string]interface{}, error) {
	values := map[string]interface{}{}
	err := yaml.Unmarshal(text, &values, func(decoder *json.Decoder) *json.Decoder {
		if jsonNumbers {
			decoder.UseNumber()
		}
		return decoder
	})
	return values, err
}

// overlay lays one values file over the earlier ones; maps merge, the rest is
// replaced, and null is kept for coalesce to act on.
func overlay(below, above map[string]interface{}) {
	for key, value := range above {
		upper, upperIsMap := value.(map[string]interface{})
		lower, lowerIsMap := below[key].(map[string]interface{})
		if upperIsMap && lowerIsMap {
			overlay(lower, upper)
		} else {
			below[key] = value
		}
	}
}

// coalesce fills in the chart's defaults. A null given for a key that has a
// default removes the key; any other null stays.
func coalesce(given, defaults map[string]interface{}) {
	for key, value := range defaults {
		present, isPresent := given[key]
		switch lower := present.(type) {
		case map[string]interface{}:
			if upper, ok := value.(map[string]interface{}); ok {
				coalesce(lower, upper)
			}
		case nil:
			if isPresent {
				delete(given, key)
			} else {
				given[key] = value
			}
		}
	}
}

func validate(schemaPath string, values map[string]interface{}) error {
	schema, err := os.ReadFile(schemaPath)
	if err != nil {
		return err
	}
	document, err := json.Marshal(values)
	if err != nil {
		return err
	}
	result, err := gojsonschema.Validate(gojsonschema.NewBytesLoader(schema), gojsonschema.NewBytesLoader(document))
	if err != nil {
		return err
	}
	var faults []string
	for _, fault := range result.Errors() {
		faults = append(faults, fault.String())
	}
	if faults != nil {
		return fmt.Errorf("values do not meet the schema:\n%s", strings.Join(faults, "\n"))
	}
	return nil
}
