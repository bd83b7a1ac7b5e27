// Argo CD's own reading of argocd-cm, its Lua and its diff, behind one JSON object a line.
//
// Usage: argocd-oracle ARGOCD-CM < questions. A question is {"ask": "health" | "actions" | "run" | "diff" |
// "application", "object": ..., "action": ..., "desired": ...}; its answer is one line: {"answer": ...} or {"error": "..."}.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/v3/common"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/argoproj/argo-cd/v3/util/settings"
	"github.com/go-logr/logr"
	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"
)

const namespace = "argocd"

type question struct {
	Ask     string         `json:"ask"`
	Action  string         `json:"action"`
	Object  map[string]any `json:"object"`
	Desired map[string]any `json:"desired"`
}

func main() {
	if err := serve(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(path string, questions io.Reader, answers io.Writer) error {
	logrus.SetOutput(io.Discard)
	vm, err := configured(path)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(questions)
	lines.Buffer(nil, 16<<20)
	encoder := json.NewEncoder(answers)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			return err
		}
		reply := map[string]any{}
		if answer, err := answered(vm, asked); err != nil {
			reply["error"] = err.Error()
		} else {
			reply["answer"] = answer
		}
		if err := encoder.Encode(reply); err != nil {
			return err
		}
	}
	return lines.Err()
}

// configured lets Argo CD read its ConfigMap as it does in a cluster.
func configured(path string) (lua.VM, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return lua.VM{}, err
	}
	var configuration corev1.ConfigMap
	if err := yaml.UnmarshalStrict(text, &configuration); err != nil {
		return lua.VM{}, err
	}
	configuration.Namespace = namespace
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Name: common.ArgoCDSecretName, Namespace: namespace, Labels: map[string]string{"app.kubernetes.io/part-of": "argocd"},
	}}
	client := fake.NewClientset(&configuration, secret)
	manager := settings.NewSettingsManager(context.Background(), client, namespace)
	overrides, err := manager.GetResourceOverrides()
	return lua.VM{ResourceOverrides: overrides}, err
}

func answered(vm lua.VM, asked question) (any, error) {
	object := &unstructured.Unstructured{Object: asked.Object}
	switch asked.Ask {
	case "health":
		return health(vm, object)
	case "actions":
		return actions(vm, object)
	case "run":
		return run(vm, object, asked.Action)
	case "application":
		return nil, strict(asked.Object)
	case "diff":
		return differs(object, &unstructured.Unstructured{Object: asked.Desired})
	}
	return nil, errors.New("not a question: " + asked.Ask)
}

func health(vm lua.VM, object *unstructured.Unstructured) (any, error) {
	return lua.ResourceHealthOverrides(vm.ResourceOverrides).GetResourceHealth(object)
}

func actions(vm lua.VM, object *unstructured.Unstructured) (any, error) {
	scripts, err := vm.GetResourceActionDiscovery(object)
	if err != nil {
		return nil, err
	}
	return vm.ExecuteResourceActionDiscovery(object, scripts)
}

func run(vm lua.VM, object *unstructured.Unstructured, name string) (any, error) {
	action, err := vm.GetResourceAction(object, name)
	if err != nil {
		return nil, err
	}
	changed, err := vm.ExecuteResourceAction(object, action.ActionLua, nil)
	if err != nil {
		return nil, err
	}
	if len(changed) != 1 || changed[0].K8SOperation != lua.PatchOperation {
		return nil, errors.New("an action changes exactly the object that it is about")
	}
	return changed[0].UnstructuredObj.Object, nil
}

// strict refuses an Application with a field that Argo CD does not know.
func strict(object map[string]any) error {
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return yaml.UnmarshalStrict(text, &v1alpha1.Application{})
}

// differs is what makes an application OutOfSync: the three-way diff, with the last applied configuration in the middle.
func differs(live, desired *unstructured.Unstructured) (any, error) {
	result, err := diff.Diff(desired, live, diff.WithLogr(logr.Discard()))
	if err != nil {
		return nil, err
	}
	return result.Modified, nil
}
