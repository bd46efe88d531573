package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	apps "k8s.io/api/apps/v1"
	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	meta1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/pager"
)

const protobufOnly = "application/vnd.kubernetes.protobuf"

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// seen is what the informers told, by resource: ADDED, MODIFIED and DELETED with the names, in order.
type seen struct {
	sync.Mutex
	events map[string][]string
}

func (s *seen) handler(resource string) cache.ResourceEventHandler {
	note := func(what string, obj any) {
		if unknown, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = unknown.Obj
		}
		accessor, err := meta.Accessor(obj)
		if err != nil {
			panic(err)
		}
		s.Lock()
		defer s.Unlock()
		s.events[resource] = append(s.events[resource], what+" "+accessor.GetName())
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { note("ADDED", obj) },
		UpdateFunc: func(_, obj any) { note("MODIFIED", obj) },
		DeleteFunc: func(obj any) { note("DELETED", obj) },
	}
}

func (s *seen) has(resource, event string) bool {
	s.Lock()
	defer s.Unlock()
	for _, each := range s.events[resource] {
		if each == event {
			return true
		}
	}
	return false
}

func live(kubeconfig, namespace string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.ContentType, config.AcceptContentTypes = protobufOnly, protobufOnly
	config.QPS, config.Burst = 1000, 1000
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	metadataClient, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()

	said := &seen{events: map[string][]string{}}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	followed := map[string]cache.SharedIndexInformer{
		"configmaps":  factory.Core().V1().ConfigMaps().Informer(),
		"secrets":     factory.Core().V1().Secrets().Informer(),
		"pods":        factory.Core().V1().Pods().Informer(),
		"services":    factory.Core().V1().Services().Informer(),
		"deployments": factory.Apps().V1().Deployments().Informer(),
		"leases":      factory.Coordination().V1().Leases().Informer(),
	}
	metadataFactory := metadatainformer.NewFilteredSharedInformerFactory(metadataClient, 0, namespace, nil)
	followed["metadata of configmaps"] = metadataFactory.ForResource(configMaps).Informer()
	for name, informer := range followed {
		if _, err := informer.AddEventHandler(said.handler(name)); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	metadataFactory.Start(ctx.Done())
	for name, informer := range followed {
		if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			return fmt.Errorf("the informer of %s did not synchronise", name)
		}
	}

	steps := []struct {
		name string
		do   func(context.Context, kubernetes.Interface, string) error
	}{
		{"config maps", configMapsLive}, {"secrets", secretsLive}, {"pods", podsLive}, {"services", servicesLive},
		{"deployments", deploymentsLive}, {"leases", leasesLive}, {"questions", questions},
	}
	for _, step := range steps {
		if err := step.do(ctx, client, namespace); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	if err := metadataLive(ctx, metadataClient, namespace); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	for name := range followed {
		if name == "pods" || name == "services" {
			continue
		}
		last := name
		if err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, 20*time.Second, true,
			func(context.Context) (bool, error) { return said.has(last, "DELETED last"), nil }); err != nil {
			return fmt.Errorf("the informer of %s did not see the end: %v", name, said.events[name])
		}
	}
	said.Lock()
	defer said.Unlock()
	return json.NewEncoder(os.Stdout).Encode(said.events)
}

func configMapsLive(ctx context.Context, client kubernetes.Interface, namespace string) error {
	maps := client.CoreV1().ConfigMaps(namespace)
	watching, err := maps.Watch(ctx, meta1.ListOptions{LabelSelector: "watched=yes"})
	if err != nil {
		return err
	}
	defer watching.Stop()
	for i := 0; i < 12; i++ {
		made := &core.ConfigMap{ObjectMeta: meta1.ObjectMeta{Name: fmt.Sprintf("c-%02d", i)},
			Data: map[string]string{"key": "value"}, BinaryData: map[string][]byte{"b": {0, 255}}}
		if _, err := maps.Create(ctx, made, meta1.CreateOptions{}); err != nil {
			return err
		}
	}
	if _, err := maps.Create(ctx, &core.ConfigMap{ObjectMeta: meta1.ObjectMeta{Name: "c-00"}},
		meta1.CreateOptions{}); !errors.IsAlreadyExists(err) {
		return fmt.Errorf("not AlreadyExists: %v", err)
	}
	count := 0
	pages := pager.New(pager.SimplePageFunc(func(opts meta1.ListOptions) (runtime.Object, error) {
		return maps.List(ctx, opts)
	}))
	pages.PageSize = 5
	if err := pages.EachListItem(ctx, meta1.ListOptions{}, func(runtime.Object) error { count++; return nil }); err != nil {
		return err
	}
	if count < 12 {
		return fmt.Errorf("%d config maps in pages", count)
	}
	found, err := maps.Get(ctx, "c-03", meta1.GetOptions{})
	if err != nil {
		return err
	}
	if string(found.BinaryData["b"]) != "\x00\xff" || found.Data["key"] != "value" {
		return fmt.Errorf("another content: %v", found)
	}
	stale := found.DeepCopy()
	found.Labels = map[string]string{"watched": "yes"}
	if _, err := maps.Update(ctx, found, meta1.UpdateOptions{}); err != nil {
		return err
	}
	if _, err := maps.Update(ctx, stale, meta1.UpdateOptions{}); !errors.IsConflict(err) {
		return fmt.Errorf("not a Conflict: %v", err)
	}
	patched, err := maps.Patch(ctx, "c-03", types.StrategicMergePatchType, []byte(`{"data":{"more":"x"}}`),
		meta1.PatchOptions{})
	if err != nil || patched.Data["more"] != "x" {
		return fmt.Errorf("patched: %v %v", patched, err)
	}
	if err := maps.Delete(ctx, "c-03", *meta1.NewPreconditionDeleteOptions(string(patched.UID))); err != nil {
		return err
	}
	for _, wanted := range []string{"ADDED", "MODIFIED", "DELETED"} {
		event := <-watching.ResultChan()
		if got, ok := event.Object.(*core.ConfigMap); !ok || string(event.Type) != wanted || got.Name != "c-03" {
			return fmt.Errorf("watched %v instead of %s", event, wanted)
		}
	}
	if err := maps.DeleteCollection(ctx, meta1.DeleteOptions{}, meta1.ListOptions{
		FieldSelector: "metadata.name!=kube-root-ca.crt"}); err != nil {
		return err
	}
	return last(ctx, func() error {
		_, err := maps.Create(ctx, &core.ConfigMap{ObjectMeta: meta1.ObjectMeta{Name: "last"}}, meta1.CreateOptions{})
		return err
	}, func() error { return maps.Delete(ctx, "last", meta1.DeleteOptions{}) })
}

// last makes something and takes it away, as the sign for the informers that all is over.
func last(_ context.Context, make, remove func() error) error {
	if err := make(); err != nil {
		return err
	}
	return remove()
}

func secretsLive(ctx context.Context, client kubernetes.Interface, namespace string) error {
	secrets := client.CoreV1().Secrets(namespace)
	made, err := secrets.Create(ctx, &core.Secret{ObjectMeta: meta1.ObjectMeta{Name: "last"},
		StringData: map[string]string{"a": "b"}, Data: map[string][]byte{"c": {1}}}, meta1.CreateOptions{})
	if err != nil {
		return err
	}
	if string(made.Data["a"]) != "b" || made.Type != core.SecretTypeOpaque {
		return fmt.Errorf("another secret: %v", made)
	}
	return secrets.Delete(ctx, "last", meta1.DeleteOptions{})
}

func podTemplate() core.PodTemplateSpec {
	no, seconds := false, int64(7)
	return core.PodTemplateSpec{
		ObjectMeta: meta1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec: core.PodSpec{AutomountServiceAccountToken: &no, TerminationGracePeriodSeconds: &seconds,
			Volumes: []core.Volume{{Name: "data", VolumeSource: core.VolumeSource{EmptyDir: &core.EmptyDirVolumeSource{}}}},
			Containers: []core.Container{{Name: "app", Image: "nginx",
				Ports:        []core.ContainerPort{{Name: "http", ContainerPort: 80}},
				VolumeMounts: []core.VolumeMount{{Name: "data", MountPath: "/data"}},
				Resources: core.ResourceRequirements{
					Requests: core.ResourceList{core.ResourceCPU: resource.MustParse("100m")}}}}}}
}

func podsLive(ctx context.Context, client kubernetes.Interface, namespace string) error {
	pods, template := client.CoreV1().Pods(namespace), podTemplate()
	made, err := pods.Create(ctx, &core.Pod{ObjectMeta: meta1.ObjectMeta{GenerateName: "web-"}, Spec: template.Spec},
		meta1.CreateOptions{})
	if err != nil {
		return err
	}
	if cpu := made.Spec.Containers[0].Resources.Requests[core.ResourceCPU]; cpu.MilliValue() != 100 {
		return fmt.Errorf("asked for %v of CPU", cpu)
	}
	if *made.Spec.TerminationGracePeriodSeconds != 7 || made.Spec.DNSPolicy != core.DNSClusterFirst {
		return fmt.Errorf("another pod: %v", made.Spec)
	}
	started := meta1.NewTime(time.Unix(1700000000, 0))
	made.Status.Phase, made.Status.StartTime = core.PodRunning, &started
	made.Status.Conditions = append(made.Status.Conditions, core.PodCondition{Type: "Test", Status: core.ConditionTrue})
	updated, err := pods.UpdateStatus(ctx, made, meta1.UpdateOptions{})
	if err != nil {
		return err
	}
	if updated.Status.Phase != core.PodRunning || !updated.Status.StartTime.Equal(&started) {
		return fmt.Errorf("another status: %v", updated.Status)
	}
	bad := updated.DeepCopy()
	bad.Spec.Containers[0].Name = "other"
	if _, err := pods.Update(ctx, bad, meta1.UpdateOptions{}); !errors.IsInvalid(err) {
		return fmt.Errorf("not Invalid: %v", err)
	}
	now := int64(0)
	return pods.Delete(ctx, updated.Name, meta1.DeleteOptions{GracePeriodSeconds: &now})
}

func servicesLive(ctx context.Context, client kubernetes.Interface, namespace string) error {
	services := client.CoreV1().Services(namespace)
	made, err := services.Create(ctx, &core.Service{ObjectMeta: meta1.ObjectMeta{Name: "web"},
		Spec: core.ServiceSpec{Selector: map[string]string{"app": "web"},
			Ports: []core.ServicePort{{Port: 80}}}}, meta1.CreateOptions{})
	if err != nil {
		return err
	}
	if made.Spec.ClusterIP == "" || made.Spec.Ports[0].TargetPort.IntValue() != 80 {
		return fmt.Errorf("another service: %v", made.Spec)
	}
	return services.Delete(ctx, "web", meta1.DeleteOptions{})
}

func deploymentsLive(ctx context.Context, client kubernetes.Interface, namespace string) error {
	deployments, three := client.AppsV1().Deployments(namespace), int32(3)
	if _, err := deployments.Create(ctx, &apps.Deployment{ObjectMeta: meta1.ObjectMeta{Name: "last"},
		Spec: apps.DeploymentSpec{Replicas: &three, Template: podTemplate(),
			Selector: &meta1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}},
		meta1.CreateOptions{}); err != nil {
		return err
	}
	scale, err := deployments.GetScale(ctx, "last", meta1.GetOptions{})
	if err != nil {
		return err
	}
	scale.Spec.Replicas = 0
	if scale, err = deployments.UpdateScale(ctx, "last", scale, meta1.UpdateOptions{}); err != nil {
		return err
	}
	found, err := deployments.Get(ctx, "last", meta1.GetOptions{})
	if err != nil {
		return err
	}
	if scale.Spec.Replicas != 0 || *found.Spec.Replicas != 0 || found.Spec.Strategy.RollingUpdate.MaxSurge.StrVal != "25%" {
		return fmt.Errorf("another deployment: %v", found.Spec)
	}
	return deployments.Delete(ctx, "last", meta1.DeleteOptions{})
}

func leasesLive(ctx context.Context, client kubernetes.Interface, namespace string) error {
	leases, holder := client.CoordinationV1().Leases(namespace), "me"
	renewed := meta1.NewMicroTime(time.Unix(1700000000, 123456000))
	made, err := leases.Create(ctx, &coordination.Lease{ObjectMeta: meta1.ObjectMeta{Name: "last"},
		Spec: coordination.LeaseSpec{HolderIdentity: &holder, RenewTime: &renewed}}, meta1.CreateOptions{})
	if err != nil {
		return err
	}
	if !made.Spec.RenewTime.Equal(&renewed) || *made.Spec.HolderIdentity != holder {
		return fmt.Errorf("another lease: %v", made.Spec)
	}
	return leases.Delete(ctx, "last", meta1.DeleteOptions{})
}

func questions(ctx context.Context, client kubernetes.Interface, namespace string) error {
	review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorization.SelfSubjectAccessReview{
		Spec: authorization.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorization.ResourceAttributes{
			Verb: "get", Resource: "pods", Namespace: namespace}}}, meta1.CreateOptions{})
	if err != nil || !review.Status.Allowed {
		return fmt.Errorf("not allowed: %v %v", review, err)
	}
	me, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authentication.SelfSubjectReview{},
		meta1.CreateOptions{})
	if err != nil || len(me.Status.UserInfo.Groups) == 0 {
		return fmt.Errorf("nobody: %v %v", me, err)
	}
	if _, err := client.CoreV1().Pods(namespace).Get(ctx, "nobody", meta1.GetOptions{}); !errors.IsNotFound(err) {
		return fmt.Errorf("not NotFound: %v", err)
	}
	resources, err := client.Discovery().ServerResourcesForGroupVersion("apps/v1")
	if err != nil || len(resources.APIResources) == 0 {
		return fmt.Errorf("nothing in apps/v1: %v", err)
	}
	return nil
}

func metadataLive(ctx context.Context, client metadata.Interface, namespace string) error {
	found, err := client.Resource(configMaps).Namespace(namespace).List(ctx, meta1.ListOptions{
		LabelSelector: labels.Everything().String()})
	if err != nil {
		return err
	}
	if found.ResourceVersion == "" {
		return fmt.Errorf("a list of no time")
	}
	return nil
}
