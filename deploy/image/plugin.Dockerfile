# Adds the plugin of this folder: docker build -f plugin.Dockerfile -t genservice:0.1.0-cpu-mine .
FROM genservice:0.1.0-cpu
COPY --chown=10001:10001 . /opt/plugins/source
RUN pip install --user --no-cache-dir /opt/plugins/source
