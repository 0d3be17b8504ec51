"""deploy/kubernetes: the Jobs that Dagster's own functions make of its values and of our steps' tags, without a cluster."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml
from dagster._core.storage.dagster_run import DagsterRun
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import UserDefinedDagsterK8sConfig, construct_dagster_k8s_job, get_user_defined_k8s_config

from adg_pipeline.definitions import build_defs
from adg_pipeline.settings.loading import Settings

KUBERNETES = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
VALUES = yaml.safe_load((KUBERNETES / "values.yaml").read_text("utf-8"))
DEPLOYMENT = VALUES["dagster-user-deployments"]["deployments"][0]
GPU = "nvidia.com/gpu"


def snake(values: Any) -> Any:
    """Keys of the chart's values as dagster-k8s has them."""
    if isinstance(values, dict):
        return {re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower(): snake(value) for key, value in values.items()}
    return values


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> K8sRunLauncher:
    """The run launcher as the chart sets it up, but for its way to the cluster."""
    nowhere = {"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}
    context = {"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}
    file = tmp_path_factory.mktemp("kubernetes") / "config"
    settings = {"contexts": [context], "clusters": [nowhere], "users": [{"name": "nobody", "user": {}}]}
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "nowhere", **settings}))
    chart = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    return K8sRunLauncher(
        service_account_name="dagster", instance_config_map="adg-dagster-instance",
        postgres_password_secret=VALUES["global"]["postgresqlSecretName"], dagster_home="/opt/dagster/dagster_home",
        load_incluster_config=False, kubeconfig_file=str(file), job_namespace="adg",
        image_pull_policy=chart["imagePullPolicy"], run_k8s_config=snake(chart["runK8sConfig"]),
    )  # fmt: skip


def executor_config() -> dict[str, Any]:
    """What deploy/kubernetes/definitions.py gives the executor."""
    spec = importlib.util.spec_from_file_location("definitions_on_kubernetes", KUBERNETES / "definitions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    job = module.defs.resolve_job_def("shards")
    assert job.executor_def is module.in_pods
    resolved = job.executor_def.apply_config_mapping({"config": {}})
    assert resolved.success, resolved.errors
    return dict(resolved.value["config"])


def pod_of(launcher: K8sRunLauncher, op: str, settings: Settings) -> kubernetes.client.V1PodSpec:
    """The pod of a step, made as dagster-k8s's executor makes it: launcher, code location, executor, and the step's tags."""
    defs = build_defs(settings)
    tags = defs.resolve_assets_def(op).op.tags
    location = {
        key: value for key, value in snake(DEPLOYMENT).items() if key in ("env", "volumes", "volume_mounts")
    } | {"env_secrets": [secret["name"] for secret in DEPLOYMENT["envSecrets"]]}
    executor = UserDefinedDagsterK8sConfig.from_dict(executor_config()["step_k8s_config"])
    context = K8sContainerContext.create_for_run(
        DagsterRun(job_name="shards", run_id="1"), launcher, include_run_tags=False
    )
    context = context.merge(K8sContainerContext.create_from_config({"k8s": location}))
    context = context.merge(K8sContainerContext(run_k8s_config=executor))
    context = context.merge(K8sContainerContext(run_k8s_config=get_user_defined_k8s_config(tags)))
    job = construct_dagster_k8s_job(
        context.get_k8s_job_config("registry.example.org/adg-pipeline:0.1.0", launcher),
        args=["dagster", "api", "execute_step"], job_name="step", user_defined_k8s_config=context.run_k8s_config,
    )  # fmt: skip
    return job.spec.template.spec


def settings_of(**sections: dict[str, Any]) -> Settings:
    return Settings.model_validate(sections)


@pytest.mark.parametrize(
    ("op", "sections", "gpus"),
    [
        ("generations", {"generations": {"engine": "vllm", "vllm": {"tensor_parallel": 4}}}, "4"),
        ("answer_embeddings", {}, "1"),
        ("finetuned_checkpoint", {"finetuned_checkpoint": {"processes": 8}}, "8"),
        ("generations", {"generations": {"engine": "endpoint"}}, None),
        ("raw_pool", {}, None),
        ("divergence_scores", {}, None),
    ],
)
def test_a_step_asks_for_the_gpus_that_its_settings_need_beside_what_every_step_asks_for(
    launcher: K8sRunLauncher, op: str, sections: dict[str, Any], gpus: str | None
) -> None:
    pod = pod_of(launcher, op, settings_of(**sections))
    resources = pod.containers[0].resources
    assert (resources.limits or {}).get(GPU) == gpus
    assert resources.requests == {"cpu": "4", "memory": "24Gi"}
    tolerated = [toleration.key for toleration in pod.tolerations or []]
    assert tolerated == ([GPU] if gpus else [])


def test_a_step_sees_the_data_the_settings_the_secrets_and_the_database(launcher: K8sRunLauncher) -> None:
    pod = pod_of(launcher, "generations", Settings())
    (container,) = pod.containers
    assert {mount.name: mount.mount_path for mount in container.volume_mounts}.items() >= {
        "data": "/data", "settings": "/etc/adg", "shared-memory": "/dev/shm",
    }.items()  # fmt: skip
    assert {volume.name for volume in pod.volumes} >= {"data", "settings", "shared-memory"}
    assert next(v for v in pod.volumes if v.name == "data").persistent_volume_claim.claim_name == "adg-data"
    assert [source.secret_ref.name for source in container.env_from if source.secret_ref] == ["adg-keys"]
    variables = {variable.name: variable for variable in container.env}
    assert variables["ADG_DATA_DIR"].value == "/data"
    assert Path(variables["ADG_CONFIG"].value).parent == Path("/etc/adg")
    password = variables["DAGSTER_PG_PASSWORD"].value_from.secret_key_ref
    assert (password.name, password.key) == ("adg-postgres", "postgresql-password")


def test_a_run_s_own_pod_holds_no_gpu(launcher: K8sRunLauncher) -> None:
    context = launcher.get_container_context_for_run(DagsterRun(job_name="shards", run_id="1"))
    assert context.run_k8s_config.container_config["resources"] == {"requests": {"cpu": "1", "memory": "2Gi"}}


def test_the_chart_s_instance_is_the_projects_own() -> None:
    """What the chart makes of these values, and what dagster.yaml has, are the same where both can say it."""
    own = yaml.safe_load((KUBERNETES.parents[1] / "dagster.yaml").read_text("utf-8"))
    assert snake(VALUES["concurrency"])["pools"] == own["concurrency"]["pools"]
    assert VALUES["additionalInstanceConfig"]["run_retries"] == own["run_retries"]
    assert VALUES["telemetry"] == own["telemetry"]
    asked = own["retention"]["sensor"]["purge_after_days"]
    assert VALUES["retention"]["sensor"]["purgeAfterDays"].items() >= asked.items()
    database = yaml.safe_load((KUBERNETES.parent / "postgres" / "dagster.yaml").read_text("utf-8"))["storage"][
        "postgres"
    ]
    assert VALUES["postgresql"]["postgresqlScheme"] == database["postgres_db"]["scheme"]


def test_the_image_holds_the_file_that_the_code_location_is_loaded_from() -> None:
    arguments, root = DEPLOYMENT["dagsterApiGrpcArgs"], KUBERNETES.parents[1]
    loaded = Path(arguments[arguments.index("--python-file") + 1])
    dockerfile = (KUBERNETES / "Dockerfile").read_text("utf-8")
    (workdir,) = re.findall(r"^WORKDIR (\S+)$", dockerfile, re.MULTILINE)
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE) for name in line.split()]
    assert all((root / name).exists() for name in copied)
    assert loaded.relative_to(workdir).parts[0] in copied
    assert (root / loaded.relative_to(workdir)).is_file()
