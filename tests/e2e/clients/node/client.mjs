// What a program on @kubernetes/client-node does all day, in the namespace that it is given; prints what it saw.
import * as k8s from '@kubernetes/client-node';

const namespace = process.argv[2];
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const seen = [];

const informer = k8s.makeInformer(
  config, `/api/v1/namespaces/${namespace}/configmaps`,
  () => core.listNamespacedConfigMap({ namespace, labelSelector: 'app=test' }), 'app=test');
const gone = new Promise((resolve) => informer.on('delete', (obj) => resolve(seen.push(`delete ${obj.metadata.name}`))));
informer.on('add', (obj) => seen.push(`add ${obj.metadata.name}`));
informer.on('update', (obj) => seen.push(`update ${obj.metadata.name} ${obj.data.x}`));
informer.on('error', (error) => { if (error?.name !== 'AbortError') seen.push(`error ${error}`); });
await informer.start();

const body = { metadata: { name: 'a', labels: { app: 'test' } }, data: { x: '1' } };
const made = await core.createNamespacedConfigMap({ namespace, body });
await core.replaceNamespacedConfigMap({ name: 'a', namespace, body: { ...made, data: { x: '2' } } });
await core.patchNamespacedConfigMap(
  { name: 'a', namespace, body: { data: { x: '3' } } },
  k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch));
await core.patchNamespacedConfigMap(
  { name: 'a', namespace, fieldManager: 'node', force: true,
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { y: '4' } } },
  k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.ServerSideApply));
const stale = await core.replaceNamespacedConfigMap({ name: 'a', namespace, body: made }).catch((error) => error.code);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const read = await objects.read({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace } });
await core.deleteNamespacedConfigMap({ name: 'a', namespace });
await gone;
await informer.stop();
const missing = await core.readNamespacedConfigMap({ name: 'a', namespace }).catch((error) => error.code);
const review = await config.makeApiClient(k8s.AuthorizationV1Api).createSelfSubjectAccessReview({
  body: { spec: { resourceAttributes: { verb: 'get', resource: 'pods', namespace } } } });

console.log(JSON.stringify({ seen, data: read.data, stale, missing, allowed: review.status.allowed }));
process.exit(0);
