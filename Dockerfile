# sealserve in a container: `docker build --target cpu .` or `docker build --target cuda .`
# Neither target runs as root; what must persist lives below /var/lib/sealserve.

FROM python:3.11-slim AS cpu
# Named so that libraries which look up the user's name find one; group 0 so that an arbitrary uid works as well.
RUN useradd --uid 10001 --gid 0 --create-home --home-dir /var/lib/sealserve sealserve && chmod g=u /var/lib/sealserve
WORKDIR /opt/sealserve
COPY pyproject.toml README.md LICENSE ./
COPY ops/setup ops/constraints-cpu.txt ops/
COPY proto proto
COPY policies policies
COPY sealserve sealserve
# The same step as on any other machine: .venv with pinned packages, here without the dev extra.
RUN SEALSERVE_BUILD=cpu SEALSERVE_EXTRAS=server,postgres,web,documents,sources,s3,train UV_NO_CACHE=1 PIP_NO_CACHE_DIR=1 ops/setup
ENV PATH=/opt/sealserve/.venv/bin:$PATH \
    SEALSERVE_DATA_DIRECTORY=/var/lib/sealserve/data \
    SEALSERVE_SERVE__ADDRESS=0.0.0.0:7431
USER 10001:0
WORKDIR /var/lib/sealserve
VOLUME /var/lib/sealserve
EXPOSE 7431 7432 7433
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s --retries=3 CMD ["python3", "-m", "sealserve.daemon.healthcheck", "--live"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["sealserve"]
CMD ["up"]

FROM vllm/vllm-openai:v0.32.0 AS cuda
RUN useradd --uid 10001 --gid 0 --create-home --home-dir /var/lib/sealserve sealserve && chmod g=u /var/lib/sealserve
WORKDIR /opt/sealserve
COPY pyproject.toml README.md LICENSE ./
COPY ops/constraints-cuda.txt ops/
COPY proto proto
COPY policies policies
COPY sealserve sealserve
# The image brings vLLM, CUDA and torch in its own Python: only what is missing is added, to the same pins.
RUN uv pip install --system --no-cache --constraints ops/constraints-cuda.txt --build-constraints ops/constraints-cuda.txt \
    --editable '.[cuda,server,postgres,web,documents,sources,s3,train]'
ENV SEALSERVE_DATA_DIRECTORY=/var/lib/sealserve/data \
    SEALSERVE_SERVE__ADDRESS=0.0.0.0:7431 \
    VLLM_CACHE_ROOT=/var/lib/sealserve/vllm-cache
USER 10001:0
WORKDIR /var/lib/sealserve
VOLUME /var/lib/sealserve
EXPOSE 7431 7432 7433
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 CMD ["python3", "-m", "sealserve.daemon.healthcheck", "--live"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["sealserve"]
CMD ["up"]
