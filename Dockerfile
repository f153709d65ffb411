FROM python:3.11-slim AS build

RUN python -m venv /opt/cartridge-warp
WORKDIR /src
COPY . .
RUN /opt/cartridge-warp/bin/pip install --no-cache-dir --constraint configs/constraints.txt '.[dashboard]'


FROM python:3.11-slim

RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin warp
COPY --from=build /opt/cartridge-warp /opt/cartridge-warp
ENV PATH="/opt/cartridge-warp/bin:${PATH}" PYTHONUNBUFFERED=1
WORKDIR /etc/cartridge-warp
USER warp
ENTRYPOINT ["cartridge-warp"]
CMD ["--help"]
