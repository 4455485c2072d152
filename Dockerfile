# An image that takes the place of the official one of Apache ZooKeeper: the same folders, variables, ports, user id and
# command.   docker build -t zoowarden . && docker run -p 2181:2181 zoowarden
ARG NODE_IMAGE=node:22-bookworm-slim

FROM ${NODE_IMAGE} AS package
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build && npm pack --ignore-scripts --pack-destination / \
  && npm ci --ignore-scripts --omit=dev \
  && mkdir /zoowarden && tar -xzf /zoowarden-*.tgz -C /zoowarden --strip-components=1 && mv node_modules /zoowarden/

FROM ${NODE_IMAGE}
ENV ZOO_CONF_DIR=/conf \
    ZOO_DATA_DIR=/data \
    ZOO_DATA_LOG_DIR=/datalog \
    ZOO_LOG_DIR=/logs \
    ZOO_TICK_TIME=2000 \
    ZOO_INIT_LIMIT=5 \
    ZOO_SYNC_LIMIT=2 \
    ZOO_AUTOPURGE_PURGEINTERVAL=0 \
    ZOO_AUTOPURGE_SNAPRETAINCOUNT=3 \
    ZOO_MAX_CLIENT_CNXNS=60 \
    ZOO_STANDALONE_ENABLED=true \
    ZOO_ADMINSERVER_ENABLED=true \
    ZOOCFGDIR=/conf \
    PATH=/zoowarden/bin:$PATH
# The ids that the official image gives its user: volumes go from one to the other.
RUN userdel --remove node \
  && groupadd --system --gid 1000 zookeeper && useradd --system --gid zookeeper --uid 1000 zookeeper \
  && mkdir -p "$ZOO_CONF_DIR" "$ZOO_DATA_DIR" "$ZOO_DATA_LOG_DIR" "$ZOO_LOG_DIR" \
  && chown zookeeper:zookeeper "$ZOO_CONF_DIR" "$ZOO_DATA_DIR" "$ZOO_DATA_LOG_DIR" "$ZOO_LOG_DIR"
COPY --from=package /zoowarden /zoowarden
COPY conf/docker/docker-entrypoint.sh conf/docker/healthcheck.sh /
USER 1000:1000
VOLUME ["/data", "/datalog", "/logs"]
EXPOSE 2181 2888 3888 8080
HEALTHCHECK --start-period=30s --interval=10s --timeout=10s CMD ["/healthcheck.sh"]
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["zkServer.sh", "start-foreground"]
