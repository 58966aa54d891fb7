# The image of Airflow's components; it has Spark too, as a repair recomputes windows there.
#
#   docker build --file docker/airflow.Dockerfile --tag crypto-pipeline/airflow:0.1.0 .
#
# Behind a site's own certificate authority, package index or artifact mirror (docs/operations.md):
#   --build-arg PIP_INDEX_URL=…  --secret id=site_ca,src=bundle.pem  --secret id=netrc,src=…  --secret id=ivy_settings,src=…

FROM python:3.11.13-slim-bookworm AS base
WORKDIR /opt/pipeline
ENV PATH=/opt/pipeline/.venv/bin:$PATH \
    PYTHONPATH=/opt/pipeline \
    PYTHONUNBUFFERED=1 \
    PIPELINE_HOME=/var/lib/pipeline \
    PIPELINE_CACHE=/opt/pipeline/cache
# the official image comes without the bytecode of Python's own library
RUN python3 -m compileall -q -j 0 "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" -x 'test|idlelib|packages'

# --- Packages: exactly the versions and hashes of requirements.txt
FROM base AS packages
ARG PIP_INDEX_URL=
RUN --mount=type=bind,source=docker/with-site.sh,target=/with-site.sh \
    --mount=type=secret,id=site_ca --mount=type=secret,id=netrc \
    python3 -m venv /opt/uv && sh /with-site.sh /opt/uv/bin/python -m pip install --quiet --no-cache-dir uv==0.13.9
RUN --mount=type=bind,source=docker/with-site.sh,target=/with-site.sh \
    --mount=type=bind,source=requirements.txt,target=requirements.txt \
    --mount=type=bind,source=requirements.override,target=requirements.override \
    --mount=type=bind,source=docker/airflow.in,target=airflow.in \
    --mount=type=secret,id=site_ca --mount=type=secret,id=netrc \
    python3 -m venv --without-pip .venv && \
    sh /with-site.sh /opt/uv/bin/uv pip install --no-cache --compile-bytecode --python .venv/bin/python \
      --requirements airflow.in --constraints requirements.txt --overrides requirements.override
# what no process here loads: the Spark shell over a network, Kubernetes, other systems' libraries, logins that MySQL
# does not ask for by default, packages' own tests
RUN cd .venv/lib/python3.11/site-packages && \
    rm -rf pyspark/jars/connect-repl pyspark/jars/kubernetes-* pyspark/jars/spark-kubernetes* pyspark/examples \
      pyspark/jars/netty-*-osx-* pyspark/jars/netty-*-windows-* mysql/vendor/plugin mysql/vendor/private && \
    find . -type d -name tests -prune -exec rm -rf {} +

# --- Java's shim and Spark's Kafka connector, checked against include/stack/artifacts.toml
FROM packages AS jars
COPY include/__init__.py include/settings.py include/settings_errors.py include/
COPY include/runtime/__init__.py include/runtime/files.py include/runtime/
COPY include/stack/__init__.py include/stack/artifacts.py include/stack/artifacts.toml include/stack/console.py \
     include/stack/errors.py include/stack/java.py include/stack/truststore.py include/stack/
RUN --mount=type=bind,source=docker/with-site.sh,target=/with-site.sh \
    --mount=type=secret,id=site_ca --mount=type=secret,id=ivy_settings \
    sh /with-site.sh python -m include.stack.artifacts spark && \
    rm -rf cache/ivy

# --- The image: layers from the rarely to the often changed
FROM base
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/pipeline --shell /usr/sbin/nologin pipeline && \
    install --directory --owner pipeline --group pipeline --mode 0750 /var/lib/pipeline
COPY --from=packages /opt/pipeline/.venv .venv
COPY --from=jars /opt/pipeline/cache cache
COPY bin bin
COPY plugins plugins
COPY dags dags
COPY spark_jobs spark_jobs
COPY include include
RUN python -m compileall -q -j 0 include spark_jobs dags plugins
USER pipeline
VOLUME /var/lib/pipeline
