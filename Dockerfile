# Any image with python3 >= 3.11, its venv module and CA certificates. Both stages use its own interpreter.
ARG BASE=docker.io/library/python:3.13-slim

FROM ${BASE} AS build
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check "uv>=0.9,<1"
ENV UV_PROJECT_ENVIRONMENT=/opt/fairway \
    UV_PYTHON=python3 \
    UV_PYTHON_DOWNLOADS=never \
    UV_SYSTEM_CERTS=true \
    UV_NO_CACHE=true \
    UV_LINK_MODE=copy
WORKDIR /src
COPY pyproject.toml uv.lock ./
RUN /opt/uv/bin/uv sync --locked --no-dev --no-default-groups --no-editable --no-install-project
COPY README.md LICENSE ./
COPY operator operator
RUN /opt/uv/bin/uv sync --locked --no-dev --no-default-groups --no-editable
# Bytecode of what runs and of nothing else: the API client brings 70 MB of modules that are never imported.
RUN /opt/fairway/bin/python -c "import fairway.operate, fairway.settings, fairway.adapters.fetch"

# Nothing is run here: the base may be one without a shell.
FROM ${BASE}
# Bytecode was compiled above: nothing is written, so the root file system may be read-only.
# The user has no entry in /etc/passwd, so its home is named here.
ENV HOME=/ \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=build /opt/fairway /opt/fairway
USER 65532:65532
WORKDIR /
EXPOSE 8080
ENTRYPOINT ["/opt/fairway/bin/fairway"]
CMD ["run"]
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Fairway" \
      org.opencontainers.image.description="Puts a model into production on Kubernetes: the right revision serves, a bad one takes itself out." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
