# Two stages: wheels are installed where there is a compiler, and run where there is none.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /venv
# runtime.lock is the bot by itself; all.lock brings clusters, clouds and metric sources too.
ARG LOCK=runtime.lock
COPY requirements requirements
RUN /venv/bin/pip install --require-hashes -r requirements/${LOCK}
COPY pyproject.toml README.md ./
COPY bot bot
COPY integrations integrations
RUN /venv/bin/pip install --no-deps --no-build-isolation .

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 HOST=0.0.0.0 PORT=8080 DATA_DIR=/data DEPLOY_CONFIG=/etc/deployment-architect/config.yaml
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin bot && install -d -o bot -g bot /data
COPY --from=build /venv /venv
USER 10001
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=2)"]
ENTRYPOINT ["deployment-architect"]
CMD ["serve"]
