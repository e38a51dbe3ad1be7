# CPU image: docker build -t pydgd . && docker run --rm -v "$PWD":/data pydgd closest-normal normals.dgd tumour.csv -o normal.h5ad
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src src
RUN python -m venv /opt/pydgd \
 && /opt/pydgd/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:3.11-slim
COPY --from=build /opt/pydgd /opt/pydgd
# Nothing here needs root, and what is written belongs to a plain user.
RUN useradd --create-home pydgd
USER pydgd
WORKDIR /data
ENTRYPOINT ["/opt/pydgd/bin/pydgd"]
CMD ["--help"]
