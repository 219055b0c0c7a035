# syntax=docker/dockerfile:1

# The server runs in a container as a user without privileges. Its data is in /data.
#
# docker build -t latchkey . && docker run -p 127.0.0.1:4000:4000 -v latchkey:/data latchkey

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY . .
RUN node scripts/prepare.mjs --build --omit=dev

FROM node:24-bookworm-slim
WORKDIR /app
ENV NODE_ENV=production HOST=0.0.0.0 PORT=4000 DATA_DIR=/data
# All other packages are part of dist/.
COPY --from=build /app/node_modules/@electric-sql/pglite node_modules/@electric-sql/pglite
COPY --from=build /app/node_modules/@node-rs node_modules/@node-rs
COPY --from=build /app/node_modules/sql.js node_modules/sql.js
COPY package.json README.md ARCHITECTURE.md SECURITY.md CONTRIBUTING.md CHANGELOG.md LICENSE ./
COPY prisma/migrations prisma/migrations
COPY schema schema
COPY docs docs
COPY examples examples
COPY --from=build /app/dist dist
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/ready`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Node receives SIGTERM itself. `compose.yaml` gives running answers more than SHUTDOWN_SECONDS to end.
CMD ["node", "--enable-source-maps", "dist/main.js"]
