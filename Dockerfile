# A container image of the daemon: no shell, no root, nothing to write but its data directory.
# docs/decisions/0008-container.md has the reasons and how to run it; test/container replays it.

# Tags can be moved. Whoever builds for others passes both with a digest: --build-arg BUILD_IMAGE=…@sha256:…
ARG BUILD_IMAGE=docker.io/library/node:24.21.0-trixie-slim
# The C and C++ libraries that Node is linked against, and no program.
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:nonroot

FROM ${BUILD_IMAGE} AS program
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
COPY bin ./bin
RUN npm ci --ignore-scripts --no-audit
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build
# A new volume gets owner and mode of the directory that it covers.
RUN mkdir -p state/lib state/run \
 && mkdir -m 0700 state/lib/spire-mesh state/run/spire-mesh

FROM ${BUILD_IMAGE} AS packages
WORKDIR /opt/spire-mesh
COPY package.json package-lock.json .npmrc ./
# The Node that the lock names by its hash is the one that runs; its C headers and manual stay behind.
RUN npm ci --omit=dev --ignore-scripts --no-audit \
 && rm -r node_modules/node-linux-*/include node_modules/node-linux-*/share \
 && ln -s node_modules/node-linux-*/bin/node node

FROM ${RUNTIME_IMAGE}
ARG REVISION=unknown
LABEL org.opencontainers.image.title="spire-mesh" \
      org.opencontainers.image.description="Carries SPIFFE trust bundles between SPIRE Servers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}"
# As bin/hand-over.js says.
ENV MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=131072
WORKDIR /opt/spire-mesh
COPY --from=packages /opt/spire-mesh/ ./
COPY --from=program /build/dist/ ./dist/
COPY LICENSE ./
COPY --from=program --chown=65532:65532 /build/state/lib/ /var/lib/
COPY --from=program --chown=65532:65532 /build/state/run/ /run/
# By number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 65532:65532
VOLUME /var/lib/spire-mesh
EXPOSE 7843
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["/opt/spire-mesh/node", "/opt/spire-mesh/dist/main.js", "healthcheck", "-config", "/etc/spire-mesh/spire-mesh.yaml"]
ENTRYPOINT ["/opt/spire-mesh/node", "--max-semi-space-size=4", "--disable-sigusr1", "/opt/spire-mesh/dist/main.js"]
CMD ["run", "-config", "/etc/spire-mesh/spire-mesh.yaml"]
