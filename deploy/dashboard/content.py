"""What the dashboard shows."""

from deploy.dashboard.grafana import Panel, Query, Row, Variable

HERE = 'namespace=~"$namespace"'
MODEL = f'{HERE}, model=~"$model"'
OURS = f'{HERE}, method=~"/genservice[.]v1[.].+"'
UNARY = f'{OURS}, method!~".+/(Sample|StreamClassify|WatchModel)"'


def _rate(metric: str, by: str, labels: str = MODEL) -> str:
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def _quantile(part: str, metric: str, by: str, labels: str = MODEL) -> str:
    return f"histogram_quantile({part}, {_rate(f'{metric}_bucket', f'{by}, le', labels)})"


def _mean(metric: str, by: str) -> str:
    return f"{_rate(f'{metric}_sum', by)} / {_rate(f'{metric}_count', by)}"


VARIABLES = (
    Variable("namespace", "label_values(genservice_model_state, namespace)"),
    Variable("model", 'label_values(genservice_model_state{namespace=~"$namespace"}, model)'),
)

SERVICE = Row(
    "Service",
    (
        Panel(
            "RPCs",
            "RPCs that ended, by their status.",
            "reqps",
            [Query(_rate("genservice_rpcs_total", "code", OURS), "{{code}}")],
            stacked=True,
        ),
        Panel(
            "Errors",
            "Part of the RPCs that fail by a fault of the service. Above the line for an hour, GenserviceErrorBurn.",
            "percentunit",
            [
                Query(f"genservice:rpc_errors:ratio_rate5m{{{HERE}}}", "5 min, {{namespace}}"),
                Query(f"genservice:rpc_errors:ratio_rate1h{{{HERE}}}", "1 h, {{namespace}}"),
            ],
            limit=0.0144,
        ),
        Panel(
            "Slow answers",
            "Part of the answers that begin after 2.5 s. Above the line for an hour, GenserviceLatencyBurn.",
            "percentunit",
            [
                Query(f"genservice:slow_answers:ratio_rate5m{{{HERE}}}", "5 min, {{namespace}}"),
                Query(f"genservice:slow_answers:ratio_rate1h{{{HERE}}}", "1 h, {{namespace}}"),
            ],
            limit=0.144,
        ),
        Panel(
            "First chunk",
            "Time from a stream's admission to its first chunk.",
            "s",
            [
                Query(_quantile("0.5", "genservice_first_chunk_seconds", "model"), "p50 {{model}}"),
                Query(_quantile("0.99", "genservice_first_chunk_seconds", "model"), "p99 {{model}}"),
            ],
        ),
        Panel(
            "Between chunks",
            "What a reader of a stream waits for the next chunk, and the whole of a stream.",
            "s",
            [
                Query(_quantile("0.99", "genservice_between_chunks_seconds", "model"), "p99 between, {{model}}"),
                Query(_quantile("0.5", "genservice_stream_seconds", "model"), "p50 whole, {{model}}"),
            ],
        ),
        Panel(
            "Unary RPCs",
            "Time from the start of an RPC to its end.",
            "s",
            [Query(_quantile("0.99", "genservice_rpc_seconds", "method", UNARY), "p99 {{method}}")],
        ),
    ),
)

QUEUE = Row(
    "Rows, queues and scaling",
    (
        Panel(
            "Rows a replica",
            "Rows queued and running: what the HPA and KEDA hold near their target.",
            "short",
            [Query(f"genservice:pod_rows:sum{{{HERE}}}", "{{pod}}")],
        ),
        Panel(
            "Rows a model",
            "Rows that wait, and rows that run, over all replicas.",
            "short",
            [
                Query(f"sum by (model) (genservice_queued_rows{{{MODEL}}})", "queued {{model}}"),
                Query(f"sum by (model) (genservice_running_rows{{{MODEL}}})", "running {{model}}"),
            ],
            stacked=True,
        ),
        Panel(
            "Time in the queue",
            "Longest wait of a batch's rows. Above the line, GenserviceSaturated.",
            "s",
            [
                Query(f"genservice:queue_seconds:p99_5m{{{MODEL}}}", "p99 {{model}}"),
                Query(_quantile("0.5", "genservice_queue_seconds", "model"), "p50 {{model}}"),
            ],
            limit=1,
        ),
        Panel(
            "Rows",
            "Rows that left the engine, by outcome.",
            "short",
            [Query(_rate("genservice_rows_total", "model, outcome"), "{{model}} {{outcome}}")],
            stacked=True,
        ),
        Panel(
            "Rows admitted and refused",
            "Rows that came, and rows that were refused, by the reason.",
            "short",
            [
                Query(_rate("genservice_rows_admitted_total", "model"), "admitted {{model}}"),
                Query(_rate("genservice_rows_refused_total", "model, reason"), "refused {{model}} {{reason}}"),
            ],
        ),
        Panel(
            "Rows turned away",
            "Part of the rows that find no room or wait in vain. Above the line, GenserviceSaturated.",
            "percentunit",
            [Query(f"genservice:rows_turned_away:ratio_rate5m{{{MODEL}}}", "{{model}}")],
            limit=0.01,
        ),
    ),
)

WORK = Row(
    "Batches and steps",
    (
        Panel(
            "Rows a batch",
            "How full batches are, on average.",
            "short",
            [Query(_mean("genservice_batch_rows", "model, verb"), "{{model}} {{verb}}")],
        ),
        Panel(
            "Time of a batch",
            "What a worker takes for a batch.",
            "s",
            [Query(_quantile("0.99", "genservice_batch_run_seconds", "model, verb"), "p99 {{model}} {{verb}}")],
        ),
        Panel(
            "Padding",
            "Rows that batches are filled up with, for each row that was asked for.",
            "percentunit",
            [
                Query(
                    f"{_rate('genservice_padding_rows_total', 'model')} / {_rate('genservice_rows_total', 'model')}",
                    "{{model}}",
                )
            ],
        ),
        Panel(
            "Time of a step",
            "Of models that draw in steps.",
            "s",
            [Query(_quantile("0.99", "genservice_step_seconds", "model"), "p99 {{model}}")],
        ),
        Panel(
            "Rows a step",
            "Live rows of a step, on average, and slots in use now.",
            "short",
            [
                Query(_mean("genservice_step_rows", "model"), "rows {{model}}"),
                Query(f"sum by (model, pod) (genservice_slots_used{{{MODEL}}})", "slots {{model}} {{pod}}"),
            ],
        ),
        Panel(
            "Errors of models",
            "Times that a model's code raised.",
            "short",
            [Query(_rate("genservice_model_errors_total", "model, verb"), "{{model}} {{verb}}")],
        ),
    ),
)

REPLICAS = Row(
    "Replicas and versions",
    (
        Panel(
            "States of versions",
            "In how many replicas a version is in which state.",
            "short",
            [
                Query(
                    f"sum by (model, version, state) (genservice_model_state{{{MODEL}}})",
                    "{{model}}/{{version}} {{state}}",
                )
            ],
        ),
        Panel(
            "Replicas",
            "Replicas that are scraped, and those of them that drain.",
            "short",
            [
                Query(f"count by (namespace) (genservice_drain_deadline_timestamp_seconds{{{HERE}}})", "{{namespace}}"),
                Query(
                    f"count by (namespace) (genservice_drain_deadline_timestamp_seconds{{{HERE}}} > 0)",
                    "{{namespace}} draining",
                ),
            ],
        ),
        Panel(
            "Restarts",
            "Workers that died, and containers that restarted, within 15 minutes.",
            "short",
            [
                Query(
                    f"sum by (pod, worker) (increase(genservice_workers_lost_total{{{HERE}}}[15m]))",
                    "{{pod}} {{worker}}",
                ),
                Query(
                    f'increase(kube_pod_container_status_restarts_total{{{HERE}, container="genservice"}}[15m])',
                    "{{pod}}",
                ),
            ],
        ),
    ),
)

ROWS = (SERVICE, QUEUE, WORK, REPLICAS)
